//! Programs at random: formatting changes neither meaning nor, the second time, the text; nothing makes the parser panic.
