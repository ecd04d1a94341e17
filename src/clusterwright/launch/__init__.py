"""A plan to the files that start it on real tools: `clusterwright.launch.api` is the door."""
