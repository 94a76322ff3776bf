#pragma once
#include <stdbool.h>
#include <stdint.h>

// ICU's own headers can not be shown to Swift: its names are macros that carry a version, and its types clash with
// those of the copy that Foundation brings. So the few calls we need stand behind plain C types.

/// A collator of the root locale, the one that CouchDB sorts strings with. Safe to use from several threads at once.
typedef struct tp_collator tp_collator;

/// NULL when ICU could not open it; `error` then holds ICU's name of the reason.
tp_collator *tp_collator_open(const char **error);
void tp_collator_close(tp_collator *collator);

/// Writes the sort key of UTF-8 text (terminated by a zero byte, which counts) and returns its length. A return value
/// above `size` says how much room is needed; nothing useful was written then. -1: `text` is not valid UTF-8.
int32_t tp_collator_sort_key(const tp_collator *collator, const char *text, int32_t length, uint8_t *out, int32_t size);

/// The version of the collation data, such as "153.112". An index built with another one has to be built anew.
void tp_collator_version(const tp_collator *collator, char out[32]);

/// A compiled regular expression. Searches keep their state in it: not for several threads at once.
typedef struct tp_regex tp_regex;

/// Compiles UTF-8 text; NULL when it is no regular expression.
tp_regex *tp_regex_open(const char *pattern, int32_t length);
void tp_regex_close(tp_regex *regex);

/// Whether the expression is found anywhere in the UTF-8 text. False also when the search took too long.
bool tp_regex_matches(tp_regex *regex, const char *text, int32_t length);
