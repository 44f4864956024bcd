// What the libraries for WASI lack and the engine names.

#include <stddef.h>
#include <stdlib.h>

extern "C" {

/// A mapped file is a copy in memory here: there is nothing to advise.
int madvise(void* /*begin*/, size_t /*bytes*/, int /*advice*/) { return 0; }

// Debian's builtins for 128-bit integers guard their stack.
extern const size_t __stack_chk_guard = 0x00dead0a;  // a zero byte ends texts that run over
void __stack_chk_fail() { abort(); }

// The engine throws nothing; what a library would throw (no memory) ends the module, and the page hears of
// it.
void* __cxa_allocate_exception(size_t /*bytes*/) { abort(); }
/// The only thread's variables live as long as the module.
int __cxa_thread_atexit(void (* /*destroy*/)(void*), void* /*object*/, void* /*library*/) { return 0; }
void __cxa_throw(void* /*exception*/, void* /*type*/, void (* /*destroy*/)(void*)) { abort(); }
}
