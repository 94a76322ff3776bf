#pragma once
#include <stdbool.h>
#include <JavaScriptCore/JavaScript.h>

// Exported by the library, declared in none of its installed headers (WebKit: JSContextRefPrivate.h).
typedef bool (*JSShouldTerminateCallback)(JSContextRef ctx, void *context);
void JSContextGroupSetExecutionTimeLimit(JSContextGroupRef group, double limit, JSShouldTerminateCallback callback,
                                         void *context);
void JSContextGroupClearExecutionTimeLimit(JSContextGroupRef group);

// WebKit: JSBasePrivate.h. An object with the numbers heapSize, heapCapacity and extraMemorySize, in bytes, among others.
JSObjectRef JSGetMemoryUsageStatistics(JSContextRef ctx);
void JSSynchronousGarbageCollectForDebugging(JSContextRef ctx);

// The signal by which the collector halts the threads that run JavaScript. False: too late, a context was made already.
bool JSConfigureSignalForGC(int signal);

// Of the GTK port's own API (jsc/JSCOptions.h, which would bring all of GLib). False: there is no such option. Only counts
// before the first context is made.
int jsc_options_set_boolean(const char *option, int value);
