#pragma once

// SQLite is configured by a function with a variable number of arguments, which Swift can not call.

/// Lets SQLite not count the memory that it uses. Must be called before anything else of SQLite; later it does nothing.
void tp_sqlite_without_memory_count(void);
