/* tidy.h - the end of delivering in this process: kept connections are closed properly. */
#ifndef EXIM_TRANSPORTS_TIDY_H
#define EXIM_TRANSPORTS_TIDY_H

void tidy_transports(void);

#endif
