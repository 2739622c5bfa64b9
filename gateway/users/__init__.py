"""Room `users`: the people of one centre.

It keeps accounts with argon2 passwords, opens and ends logins, and tells every route who is calling. It decides when an
account locks, which passwords are too weak, and that the first login's password must be changed. It leaves it to each
route to name the roles that it admits (`gateway.web.auth`), and what people did to `audit`.

    name, password --> [users] --token--> browser --token--> require(role) --> route
"""
