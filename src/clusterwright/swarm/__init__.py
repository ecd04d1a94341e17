"""Training over several sites: replicas far apart that seldom average what they learnt."""
