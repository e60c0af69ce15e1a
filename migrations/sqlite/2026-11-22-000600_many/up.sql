-- For looking at thousands of embargoes every second.
CREATE INDEX embargoes_noticed ON embargoes (stage, notice_at);
CREATE INDEX contacts_of ON contacts (packager_id);
