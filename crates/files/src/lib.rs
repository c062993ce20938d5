//! What the crates of lisa_ros ask of files beside their content.

pub mod lfs;
pub mod lock;

mod folder;

pub use folder::make_folder;
