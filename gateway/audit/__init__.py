"""Room `audit`: who did what, for ever.

It appends one record for every write request and every login, each bound to the one before by a hash. It decides how
a record is hashed and whether a chain is whole. It leaves it to the web's manners to notice deeds, and to `doctor` and
the auditor to ask for the verdict.

    web --AuditEntry--> [audit] --chain--> auditor, doctor
"""
