//! Random numbers keyed by seed, purpose and index.
