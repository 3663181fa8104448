-- Monthly partitions of transactions and logged spend, made ahead. A missing partition is never an outage:
-- its rows wait in the default partition.

-- Make the monthly partitions from this month on, and those of every month that has rows in a default
-- partition; the rows move there. Returns the names of the new partitions.
-- api as administrator
CREATE OR REPLACE FUNCTION billing.ensure_partitions(p_months_ahead int) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
DECLARE
    v_parent text;
    v_months timestamp[];
    v_month timestamp;
    v_name text;
    v_range text;
    v_late boolean;
    v_made text[] := '{}';
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('billing.ensure_partitions'));
    IF billing.is_distributed() THEN
        SET LOCAL citus.enable_unsafe_triggers TO on;
        SET LOCAL citus.multi_shard_modify_mode TO 'sequential';
    END IF;
    FOREACH v_parent IN ARRAY ARRAY['credit_transactions', 'logged_spend'] LOOP
        EXECUTE format(
            'SELECT array(
                 SELECT generate_series(date_trunc(''month'', billing.now() AT TIME ZONE ''UTC''),
                     billing.now() AT TIME ZONE ''UTC'' + make_interval(months => $1), interval ''1 month'')
                 UNION SELECT date_trunc(''month'', created_at AT TIME ZONE ''UTC'') FROM billing.%I
                 ORDER BY 1)',
            v_parent || '_default') INTO v_months USING p_months_ahead;
        FOREACH v_month IN ARRAY v_months
        LOOP
            v_name := v_parent || to_char(v_month, '"_"YYYY"_"MM');
            CONTINUE WHEN to_regclass('billing.' || v_name) IS NOT NULL;
            v_range := format('created_at >= %L AND created_at < %L', v_month AT TIME ZONE 'UTC',
                (v_month + interval '1 month') AT TIME ZONE 'UTC');
            EXECUTE format('SELECT EXISTS (SELECT 1 FROM billing.%I WHERE %s)', v_parent || '_default', v_range)
            INTO v_late;
            -- In a cluster such rows stay where they are.
            CONTINUE WHEN v_late AND billing.is_distributed();
            EXECUTE format('CREATE TABLE billing.%I (LIKE billing.%I INCLUDING ALL)', v_name, v_parent);
            IF v_late THEN
                EXECUTE format('ALTER TABLE billing.%I DISABLE TRIGGER USER', v_parent || '_default');
                EXECUTE format('WITH moved AS (DELETE FROM billing.%I WHERE %s RETURNING *)
                    INSERT INTO billing.%I SELECT * FROM moved', v_parent || '_default', v_range, v_name);
                EXECUTE format('ALTER TABLE billing.%I ENABLE TRIGGER USER', v_parent || '_default');
            END IF;
            EXECUTE format('ALTER TABLE billing.%I ATTACH PARTITION billing.%I FOR VALUES FROM (%L) TO (%L)',
                v_parent, v_name, v_month AT TIME ZONE 'UTC',
                (v_month + interval '1 month') AT TIME ZONE 'UTC');
            EXECUTE format('CREATE TRIGGER immutable_table BEFORE TRUNCATE ON billing.%I
                EXECUTE FUNCTION billing.refuse_change()', v_name);
            v_made := v_made || v_name;
        END LOOP;
    END LOOP;
    RETURN v_made;
END $$;
