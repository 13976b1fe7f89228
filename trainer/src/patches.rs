//! Batches of random crops, reproducible and bounded in memory.
