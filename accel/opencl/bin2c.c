/* bin2c NAME FILE... - print the files, one behind the other, as one C array NAME of bytes and its length NAME_size.
 * Before each file a #line tells the OpenCL compiler which file its messages are about. Runs on the machine that builds. */
#include <stdio.h>
#include <string.h>

static unsigned long count;

static void put(int byte) { printf("%d,%s", byte, ++count % 24 ? "" : "\n"); }

static const char *base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: bin2c NAME FILE...\n");
        return 2;
    }
    printf("#include <stddef.h>\nextern const unsigned char %s[];\nextern const size_t %s_size;\n", argv[1], argv[1]);
    printf("const unsigned char %s[] = {\n", argv[1]);
    for (int i = 2; i < argc; i++) {
        char line[512];
        FILE *in = fopen(argv[i], "rb");
        if (!in) {
            perror(argv[i]);
            return 1;
        }
        snprintf(line, sizeof line, "#line 1 \"%s\"\n", base(argv[i]));
        for (const char *c = line; *c; c++) put(*c);
        for (int byte; (byte = getc(in)) != EOF;) put(byte);
        fclose(in);
    }
    printf("0};\nconst size_t %s_size = %lu;\n", argv[1], count);
    return 0;
}
