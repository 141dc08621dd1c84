"""Plan a comparison of initialisations on the workspace's own data, and keep what came of it: `swcl study`."""
