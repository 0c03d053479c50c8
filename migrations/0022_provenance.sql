-- Whose word an event is: which party the registry ties to the branch on which it came, and what the broker stamped on it. It is of the delivery and not of what the device says, and stands in the body
-- of the event's signal, where nothing stood before; where there is none of it, nothing stands there now.
-- Locks: signals, exclusively, for a moment: what is there fitted a narrower rule and need not be looked at again.
alter table signals drop constraint signals_body_check;
alter table signals add constraint signals_body_check check (case kind when 'event' then true else (kind in ('command', 'tick', 'act')) = (body is not null) end) not valid;
