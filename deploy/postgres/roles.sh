#!/bin/sh
# Runs once, when the database is created. Two roles beside the superuser, who is needed for nothing after this:
# the owner migrates and keeps retention; the runtime role may only do what the migrations grant, so that a service that is broken into cannot rewrite the record.
set -eu

owner_password=$(cat /run/secrets/database_owner_password)
runtime_password=$(cat /run/secrets/database_runtime_password)

# The passwords come in through the environment of psql: arguments are seen in the list of processes.
export owner_password runtime_password
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv owner_password owner_password
\getenv runtime_password runtime_password
create role signalbox_owner login password :'owner_password';
create role signalbox_runtime login password :'runtime_password';
-- as which the service reads for whoever asks: the rows of their sites alone
create role signalbox_reader nologin;
grant signalbox_reader to signalbox_runtime;
create database signalbox owner signalbox_owner encoding 'UTF8' locale 'C' template template0;
revoke all on database signalbox from public;
grant connect on database signalbox to signalbox_runtime;
SQL
