/* load.h - the system's load, for queue_only_load, smtp_load_reserve and deliver_queue_load_max. */
#ifndef EXIM_OS_LOAD_H
#define EXIM_OS_LOAD_H

/* Of the last minute in thousandths, as fixed-point options are; -1 when unknown. */
int load_average(void);

#endif
