-- The world of a group has every source of the equipment that its batches use: without this each of them was found by looking at all sources of the site.
-- Locks: sources, against writing, for a moment.
create index sources_of_equipment on sources (site, equipment);
