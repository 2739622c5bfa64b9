"""HTTP manners without business: problem details, who may call, the event stream, the console's files."""
