/* libs.h - single functions of libraries that are loaded when they are first called: few runs need them. Each ends
 * the process with a message when its library cannot be loaded. */
#ifndef EXIM_BASE_LIBS_H
#define EXIM_BASE_LIBS_H

struct crypt_data;

/* crypt_rn of libcrypt: NULL when it does not know the setting. */
const char *libs_crypt(const char *clear, const char *setting, struct crypt_data *data);
/* e to the power of x, of libm. */
double libs_exp(double x);
/* Loads them: for what forks. */
void libs_load(void);

#endif
