/* banned.h - functions nobody calls; -include'd by the build after the system headers. */
#ifndef EXIM_BANNED_H
#define EXIM_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol ctime asctime localtime gmtime gets

#endif
