#include "CICU.h"

#include <stdlib.h>
#include <unicode/ucol.h>
#include <unicode/ustring.h>
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
