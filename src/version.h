/* version.h - which Exim this behaves like, and who says so. */
#ifndef EXIM_VERSION_H
#define EXIM_VERSION_H

#define EXIM_VERSION        "4.89" /* $version_number: the release whose behaviour is kept */
#define EXIM_IMPLEMENTATION "independent implementation, not the upstream Exim"

#endif
