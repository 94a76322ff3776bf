#pragma once
#include <stdbool.h>
#include <JavaScriptCore/JavaScript.h>

// Exported by the library, declared in none of its installed headers (WebKit: JSContextRefPrivate.h).
typedef bool (*JSShouldTerminateCallback)(JSContextRef ctx, void *context);
void JSContextGroupSetExecutionTimeLimit(JSContextGroupRef group, double limit, JSShouldTerminateCallback callback,
                                         void *context);
void JSContextGroupClearExecutionTimeLimit(JSContextGroupRef group);
