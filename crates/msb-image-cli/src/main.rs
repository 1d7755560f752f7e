//! The msb-image command.
fn main() {}
