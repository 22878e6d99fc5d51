//! Pages of documentation, as their blocks.

/// A block of a page: the heading above it, what stands behind its fence, its text, and where that is.
pub(crate) struct Block {
    pub(crate) heading: String,
    pub(crate) language: String,
    pub(crate) text: String,
    /// The lines of the text, counted from 0.
    pub(crate) lines: std::ops::Range<usize>,
}

impl Block {
    /// Returns the name of the file that the block is, where one stands behind its language.
    pub(crate) fn file(&self) -> Option<&str> {
        self.language.split_once(' ').map(|(_, name)| name).filter(|name| name.contains('.'))
    }

    /// Returns the language without what stands behind it.
    pub(crate) fn kind(&self) -> &str {
        self.language.split(' ').next().unwrap_or_default()
    }
}

/// Returns the blocks of a page, from top to bottom.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut heading = String::new();
    let mut open = false;
    for (at, line) in page.lines().enumerate() {
        if let Some(language) = line.strip_prefix("```") {
            open = !open;
            if open {
                let (heading, language) = (heading.clone(), language.to_owned());
                found.push(Block { heading, language, text: String::new(), lines: at + 1..at + 1 });
            }
        } else if open {
            let block = found.last_mut().unwrap();
            block.text.push_str(line);
            block.text.push('\n');
            block.lines.end = at + 1;
        } else if let Some(title) = line.strip_prefix("## ") {
            heading = title.to_owned();
        }
    }
    found
}
