// Keeps the C functions of llguidance in the static library.
pub use llguidance::ffi;
