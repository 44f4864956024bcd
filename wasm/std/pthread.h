#pragma once
// Of POSIX threads what base/thread_pool.cc asks about its workers, of which there are none here.

#include <time.h>

inline int pthread_getcpuclockid(int /*thread*/, clockid_t* /*clock*/) { return -1; }
