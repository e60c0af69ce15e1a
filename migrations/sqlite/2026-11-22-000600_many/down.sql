DROP INDEX contacts_of;
DROP INDEX embargoes_noticed;
