//! Tables without ornaments: they survive `grep` and `awk`.

use comfy_table::{Cell, CellAlignment, Table};

/// A table with a header; cells that are numbers align to the right.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(header);
    for row in rows {
        table.add_row(row.map(|text| {
            let number = text.starts_with(|c: char| c.is_ascii_digit());
            Cell::new(text).set_alignment(if number { CellAlignment::Right } else { CellAlignment::Left })
        }));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
