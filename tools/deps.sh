#!/bin/sh
# Installs what is missing, with the system's package manager: tools/deps.sh [all]
#   without an argument: what `make demo check` need;  all: also what `make check-all` uses
# Nothing is installed that is already there, so a machine that has everything needs neither network nor rights.
all=${1:-}
[ "$(id -u)" = 0 ] && sudo= || sudo=sudo

# install COMMAND... : run it, with the missing packages behind it
install() {
    if [ -z "$missing" ]; then echo "deps: nothing is missing"; exit 0; fi
    echo "deps: installing$missing"
    if [ -n "$sudo" ] && ! command -v sudo >/dev/null; then
        echo "deps: as root, please:" "$@" "$missing" >&2; exit 1
    fi
    # shellcheck disable=SC2086
    $sudo "$@" $missing
}

missing=
if command -v apt-get >/dev/null; then
    packages='gcc g++ make pkg-config libjansson-dev libpng-dev zlib1g-dev libzip-dev liblapacke-dev ocl-icd-opencl-dev
              pocl-opencl-icd python3-numpy'
    [ -z "$all" ] || packages="$packages binutils chromium clang clang-15 libclc-15 libclblast-dev llvm musl-tools oclgrind patch
              qemu-user-static gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-s390x-linux-gnu libc6-dev-s390x-cross"
    for p in $packages; do
        dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
    done
    if [ -n "$missing" ]; then
        $sudo apt-get update -q || exit 1
        wanted=$missing missing=
        for p in $wanted; do # other releases have other versions: what they lack is not run
            if apt-cache show "$p" >/dev/null 2>&1; then missing="$missing $p"; else echo "deps: no package $p here"; fi
        done
    fi
    install env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends
elif command -v dnf >/dev/null; then
    packages='gcc gcc-c++ make pkgconf-pkg-config jansson-devel libpng-devel zlib-devel libzip-devel lapack-devel ocl-icd-devel
              opencl-headers pocl python3-numpy'
    [ -z "$all" ] || packages="$packages binutils clang compiler-rt clblast-devel llvm patch qemu-user-static"
    for p in $packages; do rpm -q --whatprovides "$p" >/dev/null 2>&1 || missing="$missing $p"; done
    install dnf install -y
elif command -v pacman >/dev/null; then
    packages='gcc make pkgconf jansson libpng zlib libzip lapacke ocl-icd opencl-headers pocl python-numpy'
    [ -z "$all" ] || packages="$packages binutils chromium clang compiler-rt clblast llvm musl patch qemu-user-static aarch64-linux-gnu-gcc"
    for p in $packages; do pacman -T "$p" >/dev/null 2>&1 || missing="$missing $p"; done
    install pacman -S --noconfirm --needed
elif command -v brew >/dev/null; then
    packages='pkgconf jansson libpng zlib libzip lapack libomp opencl-headers opencl-icd-loader pocl numpy'
    [ -z "$all" ] || packages="$packages clblast llvm"
    for p in $packages; do brew list "$p" >/dev/null 2>&1 || missing="$missing $p"; done
    sudo=
    install brew install
else
    echo "deps: no apt, dnf, pacman or brew here. Needed: a C99 compiler, make, pkg-config, jansson; of use: libpng, zlib, libzip," >&2
    echo "deps: LAPACKE, an OpenCL loader and driver (PoCL), python3 with numpy" >&2
    exit 1
fi
