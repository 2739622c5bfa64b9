"""Room `enrolment`: how a node below becomes a known one.

It keeps this tier's own certificate authority, hands out one-time tokens bound to a node's name, and turns a token and
a CSR into a certificate whose name is the node's right at the broker. It decides which names may stand below this
centre and when a certificate may be renewed. It leaves the links themselves to `links`, the broker to its adapter.

    operations --token--> node --token, CSR--> [enrolment] --certificate--> node --mutual TLS--> broker
"""
