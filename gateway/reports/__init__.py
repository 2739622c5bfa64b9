"""Room `reports`: incident reports (信息报送) from the first telephone call to the final version.

It keeps versions that never change once signed, the history of every number, and the clocks of the reporting rules. A
signed version is sent to the tiers above and counts as delivered only when the addressee says that it is stored. Grades
are those of Order 493; what an alarm is, who is on duty, and how records cross a link is left to other rooms.

    alarm or call --draft--> [reports] --report.sent--> tier above --report.answer--> [reports]: delivered, signed for
"""
