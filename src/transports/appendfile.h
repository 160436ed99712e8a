/* appendfile.h - delivers to files: mbox, maildir, mailstore, batched SMTP (manual chapter 26). */
#ifndef EXIM_TRANSPORT_APPENDFILE_H
#define EXIM_TRANSPORT_APPENDFILE_H

#include "transports/transport.h"

extern const struct transport_driver transport_appendfile;

#endif
