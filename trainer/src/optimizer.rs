//! Adam and SGD with momentum over one flat parameter buffer.
