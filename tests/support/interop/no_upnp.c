/* Stands in for libgupnp-igd-1.0: Debian 12's whip-client speaks HTTP with libsoup 2.4, and the real one would bring
   libsoup 3 into the same process, which ends it ("libsoup2 symbols detected"). UPnP is not wanted in tests anyway. */
unsigned long gupnp_simple_igd_get_type(void) { return 0; }
unsigned long gupnp_simple_igd_thread_get_type(void) { return 0; }
void *gupnp_simple_igd_thread_new(void) { return 0; }
void gupnp_simple_igd_add_port(void) {}
void gupnp_simple_igd_remove_port_local(void) {}
