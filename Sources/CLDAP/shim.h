#ifndef TOKENPOOL_CLDAP_H
#define TOKENPOOL_CLDAP_H

#include <ldap.h>
#include <sys/time.h>

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
