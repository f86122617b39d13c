//! Columns for people to read.

use crate::escape::append_plain;

/// The space between two columns.
const GAP: usize = 2;

/// Rows under a header, each column as wide as its widest cell.
///
/// Cells may hold what others wrote: control characters and marks that turn the direction of text are escaped.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    title: &'static str,
    is_number: bool,
}

impl Column {
    /// A column of text, which begins at the left.
    pub const fn text(title: &'static str) -> Self {
        Self { title, is_number: false }
    }

    /// A column of numbers, which end at the right.
    pub const fn number(title: &'static str) -> Self {
        Self { title, is_number: true }
    }
}

impl Table {
    /// A table without rows.
    pub fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row; what is missing at its end stays empty.
    pub fn push(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| escaped(&cell)).collect());
    }

    /// Appends the header and all rows.
    pub fn append(&self, out: &mut Vec<u8>) {
        let titles: Vec<&str> = self.columns.iter().map(|column| column.title).collect();
        let widths = self.widths();
        self.append_row(out, &titles, &widths);
        self.append_rows(out);
    }

    /// Appends the rows without the header.
    pub fn append_rows(&self, out: &mut Vec<u8>) {
        let widths = self.widths();
        for row in &self.rows {
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            self.append_row(out, &cells, &widths);
        }
    }

    fn widths(&self) -> Vec<usize> {
        let cell = |row: &Vec<String>, at: usize| row.get(at).map_or(0, |cell| cell.chars().count());
        let column = |(at, column): (usize, &Column)| {
            self.rows.iter().map(|row| cell(row, at)).fold(column.title.len(), usize::max)
        };
        self.columns.iter().enumerate().map(column).collect()
    }

    fn append_row(&self, out: &mut Vec<u8>, cells: &[&str], widths: &[usize]) {
        let mut line = String::new();
        for ((column, &width), cell) in self.columns.iter().zip(widths).zip(cells) {
            let space = " ".repeat(width.saturating_sub(cell.chars().count()));
            match column.is_number {
                true => line.extend([space.as_str(), cell]),
                false => line.extend([cell, space.as_str()]),
            }
            line += &" ".repeat(GAP);
        }
        out.extend_from_slice(line.trim_end().as_bytes());
        out.push(b'\n');
    }
}

fn escaped(cell: &str) -> String {
    let mut out = Vec::with_capacity(cell.len());
    append_plain(&mut out, cell);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new([Column::text("GROUP"), Column::number("LAG"), Column::text("OLDEST")]);
        table.push(["mirror".to_owned(), "7".to_owned(), "3s".to_owned()]);
        table.push(["é".to_owned(), "12345".to_owned()]);
        let mut out = Vec::new();
        table.append(&mut out);
        let wanted = "GROUP     LAG  OLDEST\nmirror      7  3s\né       12345\n";
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
    }

    #[test]
    fn a_cell_cannot_reach_the_terminal_raw() {
        let mut table = Table::new([Column::text("X")]);
        table.push(["\u{1b}[2J\nfake \u{202e} {\"a\":\"\\\\\"}".to_owned()]);
        let mut out = Vec::new();
        table.append(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "X\n\\u001b[2J\\nfake \\u202e {\"a\":\"\\\\\"}\n");
    }
}
