//! AsyncAPI 3.0 documents: which events go through which channels, who sends and who receives them.

mod catalog;
mod document;
mod yaml;

pub use catalog::{Action, CatalogEntry};
pub use document::Document;
