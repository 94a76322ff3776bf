#include "tp_sqlite.h"

#include <sqlite3.h>

void tp_sqlite_without_memory_count(void) { (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); }
