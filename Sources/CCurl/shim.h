#pragma once
#include <curl/curl.h>

// curl_easy_setopt and its kin are variadic, which Swift can not call: one typed door for each kind of argument.
static inline CURLcode tp_setopt_long(CURL *h, CURLoption o, long v) { return curl_easy_setopt(h, o, v); }
static inline CURLcode tp_setopt_off(CURL *h, CURLoption o, curl_off_t v) { return curl_easy_setopt(h, o, v); }
static inline CURLcode tp_setopt_str(CURL *h, CURLoption o, const char *v) { return curl_easy_setopt(h, o, v); }
static inline CURLcode tp_setopt_ptr(CURL *h, CURLoption o, void *v) { return curl_easy_setopt(h, o, v); }
static inline CURLcode tp_setopt_data_cb(CURL *h, CURLoption o, size_t (*f)(char *, size_t, size_t, void *)) {
  return curl_easy_setopt(h, o, f);
}
static inline CURLcode tp_setopt_seek_cb(CURL *h, int (*f)(void *, curl_off_t, int)) {
  return curl_easy_setopt(h, CURLOPT_SEEKFUNCTION, f);
}
static inline CURLcode tp_getinfo_long(CURL *h, CURLINFO i, long *v) { return curl_easy_getinfo(h, i, v); }
static inline CURLcode tp_getinfo_off(CURL *h, CURLINFO i, curl_off_t *v) { return curl_easy_getinfo(h, i, v); }
static inline CURLcode tp_getinfo_ptr(CURL *h, CURLINFO i, void **v) { return curl_easy_getinfo(h, i, v); }
static inline CURLMcode tp_multi_setopt_long(CURLM *m, CURLMoption o, long v) { return curl_multi_setopt(m, o, v); }
// Called when the connection stands and before each sending of the request on it, repeats of libcurl's own included.
static inline CURLcode tp_setopt_prereq_cb(CURL *h, int (*f)(void *, char *, char *, int, int)) {
  return curl_easy_setopt(h, CURLOPT_PREREQFUNCTION, f);
}
// Called for each new socket before it connects.
static inline CURLcode tp_setopt_sockopt_cb(CURL *h, int (*f)(void *, curl_socket_t, curlsocktype)) {
  return curl_easy_setopt(h, CURLOPT_SOCKOPTFUNCTION, f);
}
// Called when libcurl begins or ends to wait for a socket, and when it wants to be called after some time.
static inline CURLMcode tp_multi_setopt_watch(CURLM *m, int (*socket)(CURL *, curl_socket_t, int, void *, void *),
                                              int (*timer)(CURLM *, long, void *), void *data) {
  curl_multi_setopt(m, CURLMOPT_SOCKETDATA, data);
  curl_multi_setopt(m, CURLMOPT_TIMERDATA, data);
  curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, timer);
  return curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, socket);
}
static inline CURLcode tp_global_init(void) { return curl_global_init(CURL_GLOBAL_ALL); }
