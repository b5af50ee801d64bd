#!/usr/bin/env python3
"""Writes tests/exact_points.h: correctly rounded values of the functions of ref/core/exact.h.

Independent of the C code: exp and log are those of Python's decimal (correctly rounded to the precision asked for), the
others series in decimal with 60 to 900 digits, pi by Machin's formula. A Fraction is rounded to the nearest double by integer division.
"""
import math
import random
from decimal import Decimal as D, getcontext
from fractions import Fraction


def pi():
    def atan_inverse(n):
        total, term, k, sign = D(0), D(1) / n, 1, 1
        while term > D(10) ** -(getcontext().prec + 5):
            total += sign * term / k
            term, k, sign = term / (n * n), k + 2, -sign
        return total
    return 16 * atan_inverse(5) - 4 * atan_inverse(239)


def series(first, factor, start=1):
    """first * (1 + factor(1) + factor(1) factor(2) + ...)"""
    total, term, n = first, first, start
    while term and abs(term) > D(10) ** -getcontext().prec * abs(total) / 100:
        term *= factor(n)
        total += term
        n += 1
    return total


def sine(x, shift):
    if not x:
        return D(shift)
    getcontext().prec = 900 if abs(x) > 1e30 else 140
    p = PI
    turns = (D(x) / (2 * p)).to_integral_value()
    r = D(x) - turns * 2 * p
    if shift:
        return series(D(1), lambda n: -r * r / ((2 * n - 1) * (2 * n)))
    return series(r, lambda n: -r * r / ((2 * n) * (2 * n + 1)))


def erf(x):
    getcontext().prec = 400 + int(x * x)
    q = D(x) * D(x)
    return series(D(x), lambda n: 2 * q / (2 * n + 1)) * (-q).exp() * 2 / PI.sqrt()


def erfc(x):
    y = erf(x)
    return 1 - y


def plain(f):
    def g(*args):
        getcontext().prec = 80
        return f(*map(D, args))
    return g


getcontext().prec = 920
PI = pi()
FUNCTIONS = {
    'exp': plain(D.exp), 'log': plain(D.ln), 'sin': lambda x: sine(x, 0), 'cos': lambda x: sine(x, 1),
    'erf': erf, 'erfc': erfc, 'pow': plain(lambda x, y: (x.ln() * y).exp()),
}
R = random.Random(1)


def around(*centres):
    return [y for c in centres for y in (c, math.nextafter(c, math.inf), math.nextafter(c, -math.inf))]


half_turns = [float(k * Fraction(PI) / 2) for k in (1, 2, 3, 4, 5, 11, 344, 710, 1000003, 2 ** 30 + 1, 10 ** 15 + 7)]
POINTS = {
    'exp': around(1, -1, 709.75, -708.5, -720, -744, 0.34657359027997264, 88.7, 11.5) +
           [2.0 ** -k for k in (1, 5, 20, 30, 52)] + [-2.0 ** -k for k in (1, 5, 20, 30, 53)] + [R.uniform(-1, 1) for _ in range(20)] +
           [R.uniform(-745, 709) for _ in range(30)] + [R.uniform(-745, -708.4) for _ in range(25)],
    'log': around(2, 0.5, 0.9375, 1.0625, 1.41, 0.705, 10) + [1 + 2.0 ** -k for k in (52, 40, 30, 10, 5)] +
           [1 - 2.0 ** -k for k in (53, 40, 30, 10, 5)] + [5e-324, 1e-310, 2.0 ** -1022, 1.7976931348623157e308] +
           [R.uniform(0.7, 1.42) for _ in range(30)] + [R.lognormvariate(0, 200) for _ in range(20)],
    # 6381956970095103 2^797 is the double nearest to a multiple of pi/2 (Kahan; Muller, Elementary Functions)
    'sin': around(*half_turns) + [1e22, 1e300, 1.7976931348623157e308, 6381956970095103 * 2.0 ** 797, 2.0 ** -20,
           0.7853981633974483, 0.785, 2.0 ** -26] + [R.uniform(-1, 1) for _ in range(25)] + [R.uniform(-1e5, 1e5) for _ in range(20)] +
           [math.ldexp(R.uniform(1, 2), R.randrange(10, 1023)) for _ in range(30)],
    'erf': [R.uniform(-2, 2) for _ in range(20)] + [R.uniform(2, 6) for _ in range(15)] + around(2, 1, 5.9) +
           [2.0 ** -k for k in (1, 5, 20, 30, 200, 299, 301, 1000, 1030, 1060, 1074)],
    'erfc': [R.uniform(-6, 2) for _ in range(15)] + [R.uniform(2, 26.5) for _ in range(20)] + around(2, 1, 0.5, -2) +
            [26.6, 26.9, 27.1, 27.2, 2.0 ** -20, 2.0 ** -52],
}
POINTS['cos'] = POINTS['sin']
PAIRS = [(10000.0, -k / 63) for k in range(0, 64, 3)] + [(10.0, 2.0), (2.0, -1074.0), (2.0, 1023.5), (0.95, 17.0), (0.5, 1e-3),
         (1.0000000001, 1e12), (5e-324, 0.5), (1e300, -1.05), (3.0, 2.0 ** -70)] + \
        [(R.lognormvariate(0, 3), R.uniform(-90, 90)) for _ in range(30)]


def hexadecimal(x):
    return float(x).hex().replace('0x1.0000000000000p', '0x1p')


def main():
    print('/* Made by tests/exact_points.py: function, argument, second argument of pow, the correctly rounded value. */')
    for name in ('exp', 'log', 'sin', 'cos', 'erf', 'erfc'):
        for x in POINTS[name]:
            print('{hkd_%s, NULL, %s, 0, %s},' % (name, hexadecimal(x), hexadecimal(float(Fraction(FUNCTIONS[name](x))))))
    for x, y in PAIRS:
        want = float(Fraction(FUNCTIONS['pow'](x, y)))
        print('{NULL, hkd_pow, %s, %s, %s},' % (hexadecimal(x), hexadecimal(y), hexadecimal(want)))


main()
