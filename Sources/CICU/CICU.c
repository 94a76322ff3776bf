#include "CICU.h"

#include <stdlib.h>
#include <unicode/ucol.h>
#include <unicode/uregex.h>
#include <unicode/ustring.h>
#include <unicode/utext.h>
#include <unicode/uversion.h>

struct tp_collator {
  UCollator *icu;
};

tp_collator *tp_collator_open(const char **error) {
  UErrorCode status = U_ZERO_ERROR;
  UCollator *icu = ucol_open("", &status);
  if (U_FAILURE(status)) {
    if (error) *error = u_errorName(status);
    return NULL;
  }
  tp_collator *collator = malloc(sizeof *collator);
  collator->icu = icu;
  return collator;
}

void tp_collator_close(tp_collator *collator) {
  if (!collator) return;
  ucol_close(collator->icu);
  free(collator);
}

int32_t tp_collator_sort_key(const tp_collator *collator, const char *text, int32_t length, uint8_t *out,
                             int32_t size) {
  UChar local[256];
  UChar *wide = local;
  int32_t wide_length = 0;
  UErrorCode status = U_ZERO_ERROR;
  // UTF-16 never needs more units than UTF-8 needs bytes.
  if (length > 256) wide = malloc(sizeof(UChar) * (size_t)length);
  u_strFromUTF8(wide, length > 256 ? length : 256, &wide_length, text, length, &status);
  int32_t needed = -1;
  if (U_SUCCESS(status)) needed = ucol_getSortKey(collator->icu, wide, wide_length, out, size);
  if (wide != local) free(wide);
  return needed;
}

void tp_collator_version(const tp_collator *collator, char out[32]) {
  UVersionInfo version;
  ucol_getVersion(collator->icu, version);
  u_versionToString(version, out);
}

struct tp_regex {
  URegularExpression *icu;
};

// In ICU's steps, a step being of the order of a millisecond: what has found nothing by then tries all combinations.
static const int32_t regex_time_limit = 500;

tp_regex *tp_regex_open(const char *pattern, int32_t length) {
  UErrorCode status = U_ZERO_ERROR;
  UText text = UTEXT_INITIALIZER;
  utext_openUTF8(&text, length > 0 ? pattern : "", length, &status);
  URegularExpression *icu = uregex_openUText(&text, 0, NULL, &status);
  utext_close(&text);
  if (U_SUCCESS(status)) uregex_setTimeLimit(icu, regex_time_limit, &status);
  if (U_FAILURE(status)) {
    uregex_close(icu);
    return NULL;
  }
  tp_regex *regex = malloc(sizeof *regex);
  regex->icu = icu;
  return regex;
}

void tp_regex_close(tp_regex *regex) {
  if (!regex) return;
  uregex_close(regex->icu);
  free(regex);
}

bool tp_regex_matches(tp_regex *regex, const char *text, int32_t length) {
  UErrorCode status = U_ZERO_ERROR;
  UText opened = UTEXT_INITIALIZER;
  utext_openUTF8(&opened, length > 0 ? text : "", length, &status);
  uregex_setUText(regex->icu, &opened, &status);
  UBool found = uregex_find(regex->icu, 0, &status);
  // The expression must not keep looking at text that goes away.
  UErrorCode ignored = U_ZERO_ERROR;
  static const UChar nothing[1] = {0};
  uregex_setText(regex->icu, nothing, 0, &ignored);
  utext_close(&opened);
  return U_SUCCESS(status) && found;
}
