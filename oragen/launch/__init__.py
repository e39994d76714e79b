"""Work that is parted into shards -> the rows that a store lacked, made by other processes."""
