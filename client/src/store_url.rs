//! How a store is named.
