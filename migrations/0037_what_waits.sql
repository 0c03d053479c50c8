-- How many bytes wait in a shard is asked for each group; of all its sources few have any.
-- Locks: sources, against writing, while its index is made.

create index sources_with_waiting on sources (shard) include (waiting_bytes) where waiting_bytes > 0;
