"""The command line, the roof: one file a command, `app` names them. May import everything."""
