#ifndef TOKENPOOL_CLDAP_H
#define TOKENPOOL_CLDAP_H

#include <fcntl.h>
#include <ldap.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

// Constants that are casts, and options that take a pointer to anything: Swift can not say them.

static inline int tp_ldap_set_int(LDAP *ld, int option, int value) {
    return ldap_set_option(ld, option, &value);
}

static inline int tp_ldap_set_time(LDAP *ld, int option, long seconds, long microseconds) {
    struct timeval value = {seconds, microseconds};
    return ldap_set_option(ld, option, &value);
}

static inline int tp_ldap_no_referrals(LDAP *ld) {
    return ldap_set_option(ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
}

static inline int tp_ldap_simple_bind(LDAP *ld, const char *dn, const char *password) {
    struct berval secret;
    secret.bv_val = (char *)password;
    secret.bv_len = 0;
    while (password[secret.bv_len]) secret.bv_len++;
    return ldap_sasl_bind_s(ld, dn, LDAP_SASL_SIMPLE, &secret, NULL, NULL, NULL);
}

// Cuts a connection when its time is over: libldap's own limits do not hold while TLS begins.
// A descriptor of our own on the same socket, so that it is never somebody else's.
typedef struct {
    struct ldap_conncb callbacks;
    int descriptor;
    int is_over;
} tp_ldap_watch;

static inline int tp_ldap_connected(
    LDAP *ld, Sockbuf *buffer, LDAPURLDesc *server, struct sockaddr *address, struct ldap_conncb *callbacks) {
    tp_ldap_watch *watch = (tp_ldap_watch *)callbacks->lc_arg;
    int descriptor = -1;
    ber_sockbuf_ctrl(buffer, LBER_SB_OPT_GET_FD, &descriptor);
    if (descriptor >= 0) descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    int old = __atomic_exchange_n(&watch->descriptor, descriptor, __ATOMIC_SEQ_CST);
    if (old >= 0) close(old);
    return __atomic_load_n(&watch->is_over, __ATOMIC_SEQ_CST) ? -1 : 0;
}

static inline void tp_ldap_disconnected(LDAP *ld, Sockbuf *buffer, struct ldap_conncb *callbacks) {}

static inline int tp_ldap_start_watch(LDAP *ld, tp_ldap_watch *watch) {
    watch->callbacks.lc_add = tp_ldap_connected;
    watch->callbacks.lc_del = tp_ldap_disconnected;
    watch->callbacks.lc_arg = watch;
    watch->descriptor = -1;
    watch->is_over = 0;
    return ldap_set_option(ld, LDAP_OPT_CONNECT_CB, &watch->callbacks);
}

// From any thread, until tp_ldap_end_watch.
static inline void tp_ldap_cut(tp_ldap_watch *watch) {
    __atomic_store_n(&watch->is_over, 1, __ATOMIC_SEQ_CST);
    int descriptor = __atomic_load_n(&watch->descriptor, __ATOMIC_SEQ_CST);
    if (descriptor >= 0) shutdown(descriptor, SHUT_RDWR);
}

static inline void tp_ldap_end_watch(tp_ldap_watch *watch) {
    int descriptor = __atomic_exchange_n(&watch->descriptor, -1, __ATOMIC_SEQ_CST);
    if (descriptor >= 0) close(descriptor);
}

// The number of entries found, 0 or 1; below 0 the result code.
static inline int tp_ldap_finds(LDAP *ld, const char *base, const char *filter, long seconds) {
    struct timeval limit = {seconds, 0};
    char *attributes[] = {(char *)LDAP_NO_ATTRS, NULL};
    LDAPMessage *found = NULL;
    int code = ldap_search_ext_s(ld, base, LDAP_SCOPE_SUBTREE, filter, attributes, 1, NULL, NULL, &limit, 1, &found);
    int count = found ? ldap_count_entries(ld, found) : 0;
    ldap_msgfree(found);
    if (code == LDAP_SUCCESS || code == LDAP_SIZELIMIT_EXCEEDED) return count > 0 ? 1 : 0;
    if (code == LDAP_NO_SUCH_OBJECT) return 0;
    return code > 0 ? -code : code;
}

#endif
