"""Room `duty`: who is on duty when (值守), what they hand over, and where nobody stands.

It decides which people a shift wants, what is wrong with a roster, when an empty shift becomes an alarm, and what a
handover must name. Raising alarms, ringing people and accounts belong to other rooms; the present shift travels up as
the record `duty.current`, so that city and nation see who leads in each county.
"""
