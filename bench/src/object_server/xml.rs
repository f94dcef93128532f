//! Bodies in XML.

use serde::Serialize;

/// A document, with its declaration.
pub(super) fn document(content: &impl Serialize) -> String {
    let content = quick_xml::se::to_string(content).expect("the forms of answers can be written");
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{content}")
}
