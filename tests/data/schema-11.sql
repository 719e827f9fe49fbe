-- A state of cdsed 0.1.0 (schema 11) that a run left when it was killed, and a few rows for what no run holds still
-- for, as SQLite dumps it. Never change it.


BEGIN TRANSACTION;

-- Table  access_denial
DROP TABLE IF EXISTS access_denial;
CREATE TABLE "access_denial" (                                   -- accounts that were refused this product
    product INTEGER NOT NULL REFERENCES product (id),
    account TEXT NOT NULL,
    PRIMARY KEY (product, account)
) STRICT, WITHOUT ROWID;
INSERT INTO access_denial VALUES(10,'sandbox-1');

-- Table  account
DROP TABLE IF EXISTS account;
CREATE TABLE account (                                  -- what the accounts file says, without its secrets
    name TEXT PRIMARY KEY,
    account_group TEXT NOT NULL,
    listed INTEGER NOT NULL CHECK (listed IN (0, 1)),   -- 0: no longer in the accounts file
    requests_per_minute INTEGER NOT NULL CHECK (requests_per_minute > 0),
    volume_bytes INTEGER NOT NULL CHECK (volume_bytes > 0),
    key_expires_at REAL,
    has_keys INTEGER NOT NULL CHECK (has_keys IN (0, 1))
, bandwidth_bytes_per_s INTEGER, login TEXT NOT NULL DEFAULT '', shares_volume INTEGER NOT NULL DEFAULT 0 CHECK (shares_volume IN (0, 1)), shares_requests INTEGER NOT NULL DEFAULT 0 CHECK (shares_requests IN (0, 1)), pool_sessions INTEGER CHECK (pool_sessions > 0)) STRICT, WITHOUT ROWID;
INSERT INTO account VALUES('sandbox-1','default',1,2000,12000000000000,NULL,1,NULL,'4887133de076a169',0,0,NULL);
-- Triggers and indices on  account
CREATE INDEX account_by_group ON account (account_group);

-- Table  breaker
DROP TABLE IF EXISTS breaker;
CREATE TABLE breaker (                                  -- what cools down: account:x, service:s3, disk:/spool
    name TEXT PRIMARY KEY,
    failures INTEGER NOT NULL CHECK (failures > 0),
    open INTEGER NOT NULL CHECK (open IN (0, 1)),
    until_s REAL NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    since_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO breaker VALUES('account:sandbox-1',1,1,76927.4,'Throttled','account sandbox-1: too many requests or connections (429)',1795992366.9);
INSERT INTO breaker VALUES('disk:/lab/spool',1,1,400.0,'EIO','the disk does not answer',1795992360.0);
INSERT INTO breaker VALUES('service:catalogue',2,1,400.0,'InvalidResponse','a response that is not as documented',1795992360.0);

-- Table  crash_loop
DROP TABLE IF EXISTS crash_loop;
CREATE TABLE crash_loop (                               -- workers that crash again and again, as the supervisor sees them
    worker TEXT PRIMARY KEY,
    crashes INTEGER NOT NULL CHECK (crashes > 0),       -- since it was well
    ending TEXT NOT NULL,                               -- how it ended last, in words
    code INTEGER,                                       -- its exit code; NULL: a signal, or it cannot be started
    start_s REAL                                        -- boot-clock second of its next start; NULL: it runs
) STRICT, WITHOUT ROWID;
INSERT INTO crash_loop VALUES('resolve',3,'exit code 70',70,120.0);

-- Table  daemon
DROP TABLE IF EXISTS daemon;
CREATE TABLE daemon (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    pid INTEGER NOT NULL,
    started_at REAL NOT NULL,
    stopped_at REAL,                                    -- NULL: running, or died
    booted_at REAL NOT NULL,                            -- UTC instant at which CLOCK_BOOTTIME was 0
    version TEXT NOT NULL,
    once INTEGER NOT NULL DEFAULT 0 CHECK (once IN (0, 1))
) STRICT;
INSERT INTO daemon VALUES(1,1182,1795992272.5732737,NULL,1795915441.5434783,'0.1.0',0);

-- Table  disk
DROP TABLE IF EXISTS disk;
CREATE TABLE disk (
    place TEXT PRIMARY KEY,                             -- the directory
    marker TEXT NOT NULL,                               -- what its marker file says
    device INTEGER NOT NULL,                            -- its own identity; changes with some mounts and boots
    inode INTEGER NOT NULL,
    since_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO disk VALUES('/lab/spool','0ddf5651b1ff4595978fc5dd0e949e39',65024,2155027,1795992282.4514182);

-- Table  event
DROP TABLE IF EXISTS event;
CREATE TABLE event (                                    -- one row per change of state
    id INTEGER PRIMARY KEY,
    product INTEGER NOT NULL REFERENCES product (id),
    at REAL NOT NULL,
    origin TEXT,
    target TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    cause TEXT
) STRICT;
INSERT INTO event VALUES(1,1,1795992278.6791446,NULL,'queued',0,NULL);
INSERT INTO event VALUES(2,2,1795992278.6887317,NULL,'queued',0,NULL);
INSERT INTO event VALUES(3,3,1795992278.689093,NULL,'queued',0,NULL);
INSERT INTO event VALUES(4,4,1795992278.6892297,NULL,'queued',0,NULL);
INSERT INTO event VALUES(5,5,1795992278.6893508,NULL,'queued',0,NULL);
INSERT INTO event VALUES(6,1,1795992279.3550928,'queued','resolving',0,NULL);
INSERT INTO event VALUES(7,2,1795992279.3550928,'queued','resolving',0,NULL);
INSERT INTO event VALUES(8,3,1795992279.3550928,'queued','resolving',0,NULL);
INSERT INTO event VALUES(9,4,1795992279.3550928,'queued','resolving',0,NULL);
INSERT INTO event VALUES(10,5,1795992279.3550928,'queued','resolving',0,NULL);
INSERT INTO event VALUES(11,1,1795992279.3724911,'resolving','ready',0,NULL);
INSERT INTO event VALUES(12,2,1795992279.3730166,'resolving','ready',0,NULL);
INSERT INTO event VALUES(13,3,1795992279.3731236,'resolving','ready',0,NULL);
INSERT INTO event VALUES(14,4,1795992279.373211,'resolving','ready',0,NULL);
INSERT INTO event VALUES(15,5,1795992279.3732936,'resolving','ready',0,NULL);
INSERT INTO event VALUES(16,1,1795992281.0735,'ready','downloading',0,NULL);
INSERT INTO event VALUES(17,2,1795992281.0822608,'ready','downloading',0,NULL);
INSERT INTO event VALUES(18,3,1795992281.1018639,'ready','downloading',0,NULL);
INSERT INTO event VALUES(19,4,1795992281.1104524,'ready','downloading',0,NULL);
INSERT INTO event VALUES(20,4,1795992282.4637437,'downloading','queued',0,'there is nothing at /eodata/Sentinel-1/SAR/GRD/2022/11/09/S1A_IW_GRDH_1SDH_20221109T110821_20221109T110846_056459_02A5CA_D9E1.SAFE');
INSERT INTO event VALUES(21,5,1795992282.4867501,'ready','downloading',0,NULL);
INSERT INTO event VALUES(22,4,1795992282.8652573,'queued','resolving',0,'there is nothing at /eodata/Sentinel-1/SAR/GRD/2022/11/09/S1A_IW_GRDH_1SDH_20221109T110821_20221109T110846_056459_02A5CA_D9E1.SAFE');
INSERT INTO event VALUES(23,4,1795992282.8668995,'resolving','unavailable',0,'not in the catalogue');
INSERT INTO event VALUES(24,1,1795992283.7041392,'downloading','verifying',0,NULL);
INSERT INTO event VALUES(25,1,1795992283.825831,'verifying','done',0,NULL);
INSERT INTO event VALUES(26,3,1795992284.10411,'downloading','verifying',0,NULL);
INSERT INTO event VALUES(27,3,1795992284.1371305,'verifying','done',0,NULL);
INSERT INTO event VALUES(28,2,1795992284.2859302,'downloading','verifying',0,NULL);
INSERT INTO event VALUES(29,2,1795992284.4210763,'verifying','done',0,NULL);
INSERT INTO event VALUES(30,5,1795992284.4809177,'downloading','verifying',0,NULL);
INSERT INTO event VALUES(31,5,1795992284.486206,'verifying','retry_wait',0,'damaged on the way: annotation/calibration/calibration-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 5ec6ad4fc27f9306f5b01ed33ba04da9, the service states 7444e7d3b1b90dc9fe5859a714c6ed35; annotation/calibration/noise-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 b317175cb9a71b3084d483e755b2397e, the service states 17e066d1742b627031c522d6951ce8f8; annotation/rfi/rfi-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 2d54a08b41dc6a2ee0822d9c9927db91, the service states 4e736912663755533965d891596de623');
INSERT INTO event VALUES(32,5,1795992286.5995564,'retry_wait','ready',0,'damaged on the way: annotation/calibration/calibration-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 5ec6ad4fc27f9306f5b01ed33ba04da9, the service states 7444e7d3b1b90dc9fe5859a714c6ed35; annotation/calibration/noise-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 b317175cb9a71b3084d483e755b2397e, the service states 17e066d1742b627031c522d6951ce8f8; annotation/rfi/rfi-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 2d54a08b41dc6a2ee0822d9c9927db91, the service states 4e736912663755533965d891596de623');
INSERT INTO event VALUES(33,5,1795992286.7645621,'ready','downloading',0,NULL);
INSERT INTO event VALUES(34,5,1795992287.925985,'downloading','verifying',0,NULL);
INSERT INTO event VALUES(35,5,1795992287.9782412,'verifying','retry_wait',0,'damaged on the way: annotation/calibration/calibration-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 5ec6ad4fc27f9306f5b01ed33ba04da9, the service states 7444e7d3b1b90dc9fe5859a714c6ed35; annotation/calibration/noise-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 b317175cb9a71b3084d483e755b2397e, the service states 17e066d1742b627031c522d6951ce8f8; annotation/rfi/rfi-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 2d54a08b41dc6a2ee0822d9c9927db91, the service states 4e736912663755533965d891596de623');
INSERT INTO event VALUES(36,5,1795992290.6359653,'retry_wait','ready',0,'damaged on the way: annotation/calibration/calibration-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 5ec6ad4fc27f9306f5b01ed33ba04da9, the service states 7444e7d3b1b90dc9fe5859a714c6ed35; annotation/calibration/noise-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 b317175cb9a71b3084d483e755b2397e, the service states 17e066d1742b627031c522d6951ce8f8; annotation/rfi/rfi-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 2d54a08b41dc6a2ee0822d9c9927db91, the service states 4e736912663755533965d891596de623');
INSERT INTO event VALUES(37,5,1795992290.8993971,'ready','downloading',0,NULL);
INSERT INTO event VALUES(38,5,1795992292.0847986,'downloading','verifying',0,NULL);
INSERT INTO event VALUES(39,5,1795992292.174963,'verifying','retry_wait',0,'damaged on the way: annotation/calibration/calibration-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 5ec6ad4fc27f9306f5b01ed33ba04da9, the service states 7444e7d3b1b90dc9fe5859a714c6ed35; annotation/calibration/noise-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 b317175cb9a71b3084d483e755b2397e, the service states 17e066d1742b627031c522d6951ce8f8; annotation/rfi/rfi-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 2d54a08b41dc6a2ee0822d9c9927db91, the service states 4e736912663755533965d891596de623');
INSERT INTO event VALUES(40,5,1795992294.6119587,'retry_wait','ready',0,'damaged on the way: annotation/calibration/calibration-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 5ec6ad4fc27f9306f5b01ed33ba04da9, the service states 7444e7d3b1b90dc9fe5859a714c6ed35; annotation/calibration/noise-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 b317175cb9a71b3084d483e755b2397e, the service states 17e066d1742b627031c522d6951ce8f8; annotation/rfi/rfi-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 2d54a08b41dc6a2ee0822d9c9927db91, the service states 4e736912663755533965d891596de623');
INSERT INTO event VALUES(41,5,1795992294.8391645,'ready','downloading',0,NULL);
INSERT INTO event VALUES(42,5,1795992295.516093,'downloading','verifying',0,NULL);
INSERT INTO event VALUES(43,5,1795992295.586405,'verifying','retry_wait',0,'damaged on the way: annotation/calibration/calibration-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 5ec6ad4fc27f9306f5b01ed33ba04da9, the service states 7444e7d3b1b90dc9fe5859a714c6ed35; annotation/calibration/noise-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 b317175cb9a71b3084d483e755b2397e, the service states 17e066d1742b627031c522d6951ce8f8; annotation/rfi/rfi-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 2d54a08b41dc6a2ee0822d9c9927db91, the service states 4e736912663755533965d891596de623');
INSERT INTO event VALUES(44,5,1795992297.6129498,'retry_wait','ready',0,'damaged on the way: annotation/calibration/calibration-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 5ec6ad4fc27f9306f5b01ed33ba04da9, the service states 7444e7d3b1b90dc9fe5859a714c6ed35; annotation/calibration/noise-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 b317175cb9a71b3084d483e755b2397e, the service states 17e066d1742b627031c522d6951ce8f8; annotation/rfi/rfi-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 2d54a08b41dc6a2ee0822d9c9927db91, the service states 4e736912663755533965d891596de623');
INSERT INTO event VALUES(45,5,1795992297.6459775,'ready','downloading',0,NULL);
INSERT INTO event VALUES(46,5,1795992299.2602806,'downloading','verifying',0,NULL);
INSERT INTO event VALUES(47,5,1795992299.3403652,'verifying','retry_wait',0,'damaged on the way: annotation/calibration/calibration-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 5ec6ad4fc27f9306f5b01ed33ba04da9, the service states 7444e7d3b1b90dc9fe5859a714c6ed35; annotation/calibration/noise-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 b317175cb9a71b3084d483e755b2397e, the service states 17e066d1742b627031c522d6951ce8f8; annotation/rfi/rfi-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 2d54a08b41dc6a2ee0822d9c9927db91, the service states 4e736912663755533965d891596de623');
INSERT INTO event VALUES(48,5,1795992301.6021993,'retry_wait','ready',0,'damaged on the way: annotation/calibration/calibration-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 5ec6ad4fc27f9306f5b01ed33ba04da9, the service states 7444e7d3b1b90dc9fe5859a714c6ed35; annotation/calibration/noise-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 b317175cb9a71b3084d483e755b2397e, the service states 17e066d1742b627031c522d6951ce8f8; annotation/rfi/rfi-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 2d54a08b41dc6a2ee0822d9c9927db91, the service states 4e736912663755533965d891596de623');
INSERT INTO event VALUES(49,5,1795992301.825284,'ready','downloading',0,NULL);
INSERT INTO event VALUES(50,5,1795992302.2805617,'downloading','verifying',0,NULL);
INSERT INTO event VALUES(51,5,1795992302.3151877,'verifying','corrupt',1,'corrupt at its source, two copies were alike: annotation/calibration/calibration-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 5ec6ad4fc27f9306f5b01ed33ba04da9, the service states 7444e7d3b1b90dc9fe5859a714c6ed35; annotation/calibration/noise-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 b317175cb9a71b3084d483e755b2397e, the service states 17e066d1742b627031c522d6951ce8f8; annotation/rfi/rfi-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 2d54a08b41dc6a2ee0822d9c9927db91, the service states 4e736912663755533965d891596de623');
INSERT INTO event VALUES(52,6,1795992304.2722898,NULL,'queued',0,NULL);
INSERT INTO event VALUES(53,7,1795992304.2728522,NULL,'queued',0,NULL);
INSERT INTO event VALUES(54,8,1795992304.2729867,NULL,'queued',0,NULL);
INSERT INTO event VALUES(55,9,1795992304.2731116,NULL,'queued',0,NULL);
INSERT INTO event VALUES(56,10,1795992304.2732303,NULL,'queued',0,NULL);
INSERT INTO event VALUES(57,11,1795992304.2733662,NULL,'queued',0,NULL);
INSERT INTO event VALUES(58,12,1795992304.2735252,NULL,'queued',0,NULL);
INSERT INTO event VALUES(59,6,1795992304.3827803,'queued','resolving',0,NULL);
INSERT INTO event VALUES(60,7,1795992304.3827803,'queued','resolving',0,NULL);
INSERT INTO event VALUES(61,8,1795992304.3827803,'queued','resolving',0,NULL);
INSERT INTO event VALUES(62,9,1795992304.3827803,'queued','resolving',0,NULL);
INSERT INTO event VALUES(63,10,1795992304.3827803,'queued','resolving',0,NULL);
INSERT INTO event VALUES(64,11,1795992304.3827803,'queued','resolving',0,NULL);
INSERT INTO event VALUES(65,12,1795992304.3827803,'queued','resolving',0,NULL);
INSERT INTO event VALUES(66,6,1795992304.3870296,'resolving','ready',0,NULL);
INSERT INTO event VALUES(67,7,1795992304.387438,'resolving','ready',0,NULL);
INSERT INTO event VALUES(68,8,1795992304.3876197,'resolving','ready',0,NULL);
INSERT INTO event VALUES(69,9,1795992304.3877113,'resolving','ready',0,NULL);
INSERT INTO event VALUES(70,10,1795992304.3878212,'resolving','ready',0,NULL);
INSERT INTO event VALUES(71,11,1795992304.3879132,'resolving','ready',0,NULL);
INSERT INTO event VALUES(72,12,1795992304.3880024,'resolving','ready',0,NULL);
INSERT INTO event VALUES(73,6,1795992304.481336,'ready','downloading',0,NULL);
INSERT INTO event VALUES(74,7,1795992304.5859497,'ready','downloading',0,NULL);
INSERT INTO event VALUES(75,8,1795992304.6229591,'ready','downloading',0,NULL);
INSERT INTO event VALUES(76,9,1795992304.6775782,'ready','downloading',0,NULL);
INSERT INTO event VALUES(77,6,1795992365.4656603,'downloading','retry_wait',0,'127.0.0.1:33583: only 0 bytes in 61 s; connection cut');
INSERT INTO event VALUES(78,7,1795992365.472189,'downloading','retry_wait',0,'127.0.0.1:33583: only 0 bytes in 61 s; connection cut');
INSERT INTO event VALUES(79,9,1795992367.434786,'downloading','verifying',0,NULL);
INSERT INTO event VALUES(80,10,1795992367.446434,'ready','downloading',0,NULL);
INSERT INTO event VALUES(81,9,1795992367.4830477,'verifying','done',0,NULL);
INSERT INTO event VALUES(82,6,1795992367.6081247,'retry_wait','ready',0,'127.0.0.1:33583: only 0 bytes in 61 s; connection cut');
INSERT INTO event VALUES(83,10,1795992367.9247117,'downloading','retry_wait',0,'account sandbox-1 may not read /eodata/Sentinel-1/SAR/IW_GRDH_1S/2023/06/09/S1A_IW_GRDH_1SSV_20230609T032633_20230609T032658_044023_0B27EB_DE9A.SAFE (403 AccessDenied)');
INSERT INTO event VALUES(84,6,1795992367.9694397,'ready','downloading',0,NULL);
INSERT INTO event VALUES(85,7,1795992368.6200476,'retry_wait','ready',0,'127.0.0.1:33583: only 0 bytes in 61 s; connection cut');
INSERT INTO event VALUES(86,10,1795992368.6200476,'retry_wait','ready',0,'account sandbox-1 may not read /eodata/Sentinel-1/SAR/IW_GRDH_1S/2023/06/09/S1A_IW_GRDH_1SSV_20230609T032633_20230609T032658_044023_0B27EB_DE9A.SAFE (403 AccessDenied)');
INSERT INTO event VALUES(87,13,1795992370.0,NULL,'queued',0,NULL);
INSERT INTO event VALUES(88,14,1795992370.0,NULL,'queued',0,NULL);
INSERT INTO event VALUES(89,14,1795992370.0,'queued','resolving',0,NULL);
INSERT INTO event VALUES(90,15,1795992370.0,NULL,'queued',0,NULL);
INSERT INTO event VALUES(91,15,1795992370.0,'queued','resolving',0,NULL);
INSERT INTO event VALUES(92,15,1795992370.0,'resolving','ready',0,NULL);
INSERT INTO event VALUES(93,15,1795992370.0,'ready','downloading',0,NULL);
INSERT INTO event VALUES(94,16,1795992370.0,NULL,'queued',0,NULL);
INSERT INTO event VALUES(95,16,1795992370.0,'queued','resolving',0,NULL);
INSERT INTO event VALUES(96,16,1795992370.0,'resolving','ready',0,NULL);
INSERT INTO event VALUES(97,16,1795992370.0,'ready','downloading',0,NULL);
INSERT INTO event VALUES(98,16,1795992370.0,'downloading','verifying',0,NULL);
INSERT INTO event VALUES(99,17,1795992370.0,NULL,'queued',0,NULL);
INSERT INTO event VALUES(100,17,1795992370.0,'queued','resolving',0,NULL);
INSERT INTO event VALUES(101,17,1795992370.0,'resolving','ready',0,NULL);
INSERT INTO event VALUES(102,17,1795992370.0,'ready','downloading',0,NULL);
INSERT INTO event VALUES(103,17,1795992370.0,'downloading','retry_wait',1,'internal error');
INSERT INTO event VALUES(104,18,1795992370.0,NULL,'queued',0,NULL);
INSERT INTO event VALUES(105,18,1795992370.0,'queued','resolving',0,NULL);
INSERT INTO event VALUES(106,18,1795992370.0,'resolving','ready',0,NULL);
INSERT INTO event VALUES(107,18,1795992370.0,'ready','failed',5,'given up (attempt 5 of 5)');
INSERT INTO event VALUES(108,19,1795992370.0,NULL,'queued',0,NULL);
INSERT INTO event VALUES(109,19,1795992370.0,'queued','resolving',0,NULL);
INSERT INTO event VALUES(110,19,1795992370.0,'resolving','ready',0,NULL);
INSERT INTO event VALUES(111,19,1795992370.0,'ready','cancelled',0,'cancelled');
INSERT INTO event VALUES(112,20,1795992370.0,NULL,'queued',0,NULL);
INSERT INTO event VALUES(113,20,1795992370.0,'queued','already_present',0,NULL);
-- Triggers and indices on  event
CREATE INDEX event_by_product ON event (product);

-- Table  fence
DROP TABLE IF EXISTS fence;
CREATE TABLE fence (                                    -- the one counter; it only grows
    id INTEGER PRIMARY KEY CHECK (id = 1),
    value INTEGER NOT NULL
) STRICT;
INSERT INTO fence VALUES(1,80);

-- Table  listing
DROP TABLE IF EXISTS listing;
CREATE TABLE listing (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sha256 TEXT NOT NULL,
    account_group TEXT NOT NULL,
    outputdir TEXT NOT NULL DEFAULT '',                 -- '': the spools
    priority INTEGER NOT NULL,
    name TEXT NOT NULL,
    owner TEXT,
    state TEXT NOT NULL CHECK (state IN ('taking', 'open', 'reported', 'refused')),
    path TEXT NOT NULL,                                 -- where the file itself lies now
    items_taken INTEGER NOT NULL DEFAULT 0,             -- how far its lines are in the database
    accepted INTEGER NOT NULL DEFAULT 0,
    duplicate INTEGER NOT NULL DEFAULT 0,
    known INTEGER NOT NULL DEFAULT 0,
    already_present INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0,
    ignored INTEGER NOT NULL DEFAULT 0,
    taken_at REAL NOT NULL,
    reported_at REAL,
    reason TEXT,                                        -- why the file as a whole was refused
    CHECK ((state = 'reported') = (reported_at IS NOT NULL))
) STRICT;
INSERT INTO listing VALUES(1,'1f0cfd2387c55958a82990ac040b4cf86cfcd358b730f3d06d8d26120bddfc40','default','',0,'first.txt','lab','reported','/lab/inbox/.accepted/first.txt',6,5,0,0,0,1,0,1795992278.6456437,1795992302.5025988,NULL);
INSERT INTO listing VALUES(2,'6c0fdecafaa3cf94764154bc6bab5ffe69851e256aa0ff0d57a3ee24eb0f102b','default','',0,'again.txt','lab','reported','/lab/inbox/.accepted/again.txt',2,0,0,0,2,0,0,1795992302.752795,1795992302.9597318,NULL);
INSERT INTO listing VALUES(3,'01152cf16ee00648d0857fe0b9ff3b3f149daf0fe69106fce3a9c8a75da7514e','default','',0,'slow.txt','lab','open','/lab/inbox/.accepted/default/slow.txt',13,13,0,0,0,0,0,1795992304.2245576,NULL,NULL);
INSERT INTO listing VALUES(4,'ab','default','',5,'taking.txt','lab','taking','/lab/inbox/.taking/taking.txt',2,1,0,0,1,0,0,1795992365.0,NULL,NULL);
-- Triggers and indices on  listing
CREATE INDEX listing_by_content ON listing (sha256, account_group, outputdir);
CREATE INDEX listing_unreported ON listing (state) WHERE state IN ('taking', 'open');

-- Table  notice
DROP TABLE IF EXISTS notice;
CREATE TABLE notice (                                   -- what people should know although nothing has failed
    name TEXT PRIMARY KEY,                              -- recovered, inbox, replaced:/spool/.cdsed/replaced
    text TEXT NOT NULL,
    since_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO notice VALUES('inbox','the kernel reports no changes in the inbox',1795992360.0);

-- Table  object
DROP TABLE IF EXISTS object;
CREATE TABLE object (                                   -- what a planned product is made of
    id INTEGER PRIMARY KEY,
    product INTEGER NOT NULL REFERENCES product (id),
    key TEXT NOT NULL,
    path TEXT NOT NULL,                                 -- below the product's directory
    size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),
    etag TEXT NOT NULL,
    md5 TEXT,                                           -- computed while its bytes passed
    sha3_256 TEXT,
    bad_digest TEXT,                                    -- of the copy that failed verification last
    process INTEGER REFERENCES process (id), damaged INTEGER NOT NULL DEFAULT 0, stamp TEXT,            -- who computes its digests just now
    UNIQUE (product, path)
) STRICT;
INSERT INTO object VALUES(1,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/annotation/calibration/calibration-s1a-iw-grd-hh-20240611t164725-20240611t164750-054030-04e6b2-001.xml','annotation/calibration/calibration-s1a-iw-grd-hh-20240611t164725-20240611t164750-054030-04e6b2-001.xml',267112,'9944c6f0b87446e514fb4dc752de9e1b',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO object VALUES(2,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/annotation/calibration/calibration-s1a-iw-grd-hv-20240611t164725-20240611t164750-054030-04e6b2-002.xml','annotation/calibration/calibration-s1a-iw-grd-hv-20240611t164725-20240611t164750-054030-04e6b2-002.xml',267513,'09ee9108336fb8f41d246d6d1b4a94aa',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO object VALUES(3,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/annotation/calibration/noise-s1a-iw-grd-hh-20240611t164725-20240611t164750-054030-04e6b2-001.xml','annotation/calibration/noise-s1a-iw-grd-hh-20240611t164725-20240611t164750-054030-04e6b2-001.xml',330481,'45fd756105e808875c7b01a810aa0d45',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO object VALUES(4,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/annotation/calibration/noise-s1a-iw-grd-hv-20240611t164725-20240611t164750-054030-04e6b2-002.xml','annotation/calibration/noise-s1a-iw-grd-hv-20240611t164725-20240611t164750-054030-04e6b2-002.xml',324866,'fa97f3062bf511197ad81c1b0d657091',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO object VALUES(5,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/annotation/rfi/rfi-s1a-iw-grd-hh-20240611t164725-20240611t164750-054030-04e6b2-001.xml','annotation/rfi/rfi-s1a-iw-grd-hh-20240611t164725-20240611t164750-054030-04e6b2-001.xml',18776,'3497129411501153550b92626bc24907',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO object VALUES(6,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/annotation/rfi/rfi-s1a-iw-grd-hv-20240611t164725-20240611t164750-054030-04e6b2-002.xml','annotation/rfi/rfi-s1a-iw-grd-hv-20240611t164725-20240611t164750-054030-04e6b2-002.xml',19294,'0c0675c9521514b0a8164a92fcaaa8a8',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO object VALUES(7,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/annotation/s1a-iw-grd-hh-20240611t164725-20240611t164750-054030-04e6b2-001.xml','annotation/s1a-iw-grd-hh-20240611t164725-20240611t164750-054030-04e6b2-001.xml',331684,'8ac177f063df16739a5b8236b38a5049',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO object VALUES(8,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/annotation/s1a-iw-grd-hv-20240611t164725-20240611t164750-054030-04e6b2-002.xml','annotation/s1a-iw-grd-hv-20240611t164725-20240611t164750-054030-04e6b2-002.xml',306015,'facc40bac28a44bc0ee182ae91f61ee9',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO object VALUES(9,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/manifest.safe','manifest.safe',8339,'e7e54882c6ecf9ec6c9a43c1846a4962',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO object VALUES(10,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/measurement/s1a-iw-grd-hh-20240611t164725-20240611t164750-054030-04e6b2-001.tiff','measurement/s1a-iw-grd-hh-20240611t164725-20240611t164750-054030-04e6b2-001.tiff',13867685,'ad88addc78d4db93a84da086a0f5d96e',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO object VALUES(11,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/measurement/s1a-iw-grd-hv-20240611t164725-20240611t164750-054030-04e6b2-002.tiff','measurement/s1a-iw-grd-hv-20240611t164725-20240611t164750-054030-04e6b2-002.tiff',13714357,'9eb45ac03ebe683859905847733c8533',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO object VALUES(12,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/preview/icons/logo.png','preview/icons/logo.png',94664,'7764262c79800ce60bae0581a3da3e69',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO object VALUES(13,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/preview/map-overlay.kml','preview/map-overlay.kml',791,'3739bc9cf80fd3cc5de23302540432ab',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO object VALUES(14,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/preview/product-preview.html','preview/product-preview.html',2297,'11a3aa47069aa6b80c5a2c18d0248d2c',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO object VALUES(15,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/preview/quick-look.png','preview/quick-look.png',262211,'08dbedd32cad90dc5418155a05af31d0',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO object VALUES(16,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/preview/thumbnail.png','preview/thumbnail.png',45741,'71c95c8601d7cfc2cde3a2f9f09d49ec',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO object VALUES(17,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/support/s1-level-1-calibration.xsd','support/s1-level-1-calibration.xsd',16423,'a76d33ff77b2c5c8e5317e43dfffc1ce',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO object VALUES(18,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/support/s1-level-1-measurement.xsd','support/s1-level-1-measurement.xsd',14023,'ae1aa917eb04dcfa0f978fcb6aa8ce5c',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO object VALUES(19,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/support/s1-level-1-noise.xsd','support/s1-level-1-noise.xsd',19623,'fbbd2201a07e6aabc51c2764424fba2a',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO object VALUES(20,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/support/s1-level-1-product.xsd','support/s1-level-1-product.xsd',14352,'267ecffb099dbabfd94cb8de4f7d74d6',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO object VALUES(21,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/support/s1-level-1-quicklook.xsd','support/s1-level-1-quicklook.xsd',16517,'e1c7befdfe5d920d05fe190992a8532a',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO object VALUES(22,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/support/s1-level-1-rfi.xsd','support/s1-level-1-rfi.xsd',15670,'1447956d93c50c04af946424a824f8cf',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO object VALUES(23,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/support/s1-map-overlay.xsd','support/s1-map-overlay.xsd',18800,'63fb4cb0a2105e577f23eed1f36a941e',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO object VALUES(24,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/support/s1-object-types.xsd','support/s1-object-types.xsd',14117,'73aedc97893f16d147c764f54c85308f',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO object VALUES(25,8,'Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE/support/s1-product-preview.xsd','support/s1-product-preview.xsd',16988,'7d8b27f1d9735a75a285bf08ac4e0ce2',NULL,NULL,NULL,NULL,0,NULL);
-- Triggers and indices on  object
CREATE INDEX object_claimed ON object (process) WHERE process IS NOT NULL;

-- Table  piece
DROP TABLE IF EXISTS piece;
CREATE TABLE piece (                                    -- one ranged GET; fence set: a session is at it
    id INTEGER PRIMARY KEY,
    product INTEGER NOT NULL REFERENCES product (id),
    object INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    first_byte INTEGER NOT NULL CHECK (first_byte >= 0),
    size_bytes INTEGER NOT NULL CHECK (size_bytes > 0),
    done_bytes INTEGER NOT NULL DEFAULT 0 CHECK (done_bytes BETWEEN 0 AND size_bytes),  -- on the disk
    written_bytes INTEGER NOT NULL DEFAULT 0,           -- written before a kill; worth nothing after a new boot
    transient_failures INTEGER NOT NULL DEFAULT 0,
    due_s REAL NOT NULL DEFAULT 0,
    fence INTEGER
) STRICT;
INSERT INTO piece VALUES(1,8,1,0,267112,0,0,0,76928.02404359663,NULL);
INSERT INTO piece VALUES(2,8,2,0,267513,0,0,0,76928.02404359663,NULL);
INSERT INTO piece VALUES(3,8,3,0,330481,0,0,0,76928.02404359663,NULL);
INSERT INTO piece VALUES(4,8,4,0,324866,0,0,0,76928.02404359663,NULL);
INSERT INTO piece VALUES(5,8,5,0,18776,0,0,0,76928.02404359663,NULL);
INSERT INTO piece VALUES(6,8,6,0,19294,0,0,0,76928.02404359663,NULL);
INSERT INTO piece VALUES(7,8,7,0,331684,0,0,0,76928.02404359663,NULL);
INSERT INTO piece VALUES(8,8,8,0,306015,0,0,0,76928.02404359663,NULL);
INSERT INTO piece VALUES(9,8,9,0,8339,0,0,0,76928.02404359663,NULL);
INSERT INTO piece VALUES(10,8,10,0,13867685,0,0,0,76928.02231718335,NULL);
INSERT INTO piece VALUES(11,8,11,0,13714357,0,0,0,76928.02404359663,NULL);
INSERT INTO piece VALUES(12,8,12,0,94664,0,0,0,76928.02404359663,NULL);
INSERT INTO piece VALUES(13,8,13,0,791,0,0,0,76928.02404359663,NULL);
INSERT INTO piece VALUES(14,8,14,0,2297,0,0,0,76928.02404359663,NULL);
INSERT INTO piece VALUES(15,8,15,0,262211,0,0,0,76928.02404359663,NULL);
INSERT INTO piece VALUES(16,8,16,0,45741,0,0,0,76928.02404359663,NULL);
INSERT INTO piece VALUES(17,8,17,0,16423,0,0,0,76928.02404359663,NULL);
INSERT INTO piece VALUES(18,8,18,0,14023,0,0,0,76928.02404359663,NULL);
INSERT INTO piece VALUES(19,8,19,0,19623,0,0,0,76928.02404359663,NULL);
INSERT INTO piece VALUES(20,8,20,0,14352,0,0,0,76928.02404359663,NULL);
INSERT INTO piece VALUES(21,8,21,0,16517,0,0,0,76928.02404359663,NULL);
INSERT INTO piece VALUES(22,8,22,0,15670,0,0,0,76928.02404359663,NULL);
INSERT INTO piece VALUES(23,8,23,0,18800,0,0,0,76928.02404359663,NULL);
INSERT INTO piece VALUES(24,8,24,0,14117,0,0,0,76928.02404359663,NULL);
INSERT INTO piece VALUES(25,8,25,0,16988,0,0,0,76928.02404359663,NULL);
-- Triggers and indices on  piece
CREATE INDEX piece_by_object ON piece (object);
CREATE INDEX piece_held ON piece (fence) WHERE fence IS NOT NULL;
CREATE INDEX piece_open ON piece (product, object) WHERE done_bytes < size_bytes;

-- Table  process
DROP TABLE IF EXISTS process;
CREATE TABLE process (                                  -- workers that live, or died and were not yet swept
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    pid INTEGER NOT NULL,
    lock TEXT NOT NULL UNIQUE,                          -- file it holds a flock on: the kernel's word that it lives
    started_at REAL NOT NULL
) STRICT;
INSERT INTO process VALUES(1,'download-1',1234,'/lab/state/run/process.1234.1795992277274124818.lock',1795992277.2970726);
INSERT INTO process VALUES(2,'intake',1232,'/lab/state/run/process.1232.1795992277420066362.lock',1795992277.439318);
INSERT INTO process VALUES(3,'resolve',1233,'/lab/state/run/process.1233.1795992277552490393.lock',1795992277.555044);

-- Table  product
DROP TABLE IF EXISTS product;
CREATE TABLE "product" (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    safename TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('queued', 'resolving', 'ready', 'downloading', 'verifying', 'retry_wait',
                                         'done', 'already_present', 'unavailable', 'corrupt', 'failed', 'cancelled')),
    account_group TEXT NOT NULL,
    priority INTEGER NOT NULL,
    outputdir TEXT,                                     -- NULL: the spools
    product_id TEXT,                                    -- the catalogue's
    s3_path TEXT,
    path_source TEXT CHECK (path_source IN ('listing', 'name', 'catalogue')),
    path_refuted INTEGER NOT NULL DEFAULT 0 CHECK (path_refuted IN (0, 1)),  -- S3 has nothing at the path of its name
    md5 TEXT,                                           -- the catalogue's, of the single object
    size_bytes INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,                -- failures that the product is charged with
    transient_failures INTEGER NOT NULL DEFAULT 0,      -- failures in a row that it is not charged with
    deaths INTEGER NOT NULL DEFAULT 0,                  -- workers that died over it since it last advanced
    due_s REAL,
    planned INTEGER NOT NULL DEFAULT 0 CHECK (planned IN (0, 1)),
    destination TEXT,                                   -- the directory it will appear in
    staging TEXT,                                       -- the directory it is put together in
    path TEXT,                                          -- where it is, when it is complete
    cause TEXT,
    code TEXT,                                          -- short word for the cause, for counting
    process INTEGER REFERENCES process (id),            -- who resolves, plans or verifies it just now
    fence INTEGER,
    changed_at REAL NOT NULL,
    refusals INTEGER NOT NULL DEFAULT 0,                -- rounds in a row in which all accounts got a 403
    refused_at REAL,                                    -- the end of the first of these rounds
    refused_for_s REAL NOT NULL DEFAULT 0,              -- the pauses between them, added up
    offered_again INTEGER NOT NULL DEFAULT 0,           -- the catalogue was asked since they lasted
    -- Where it will be written, as far as that is known: it waits while that place is paused.
    place TEXT GENERATED ALWAYS AS (coalesce(destination, outputdir, 'unknown')) VIRTUAL,
    CHECK ((state = 'retry_wait') = (due_s IS NOT NULL)),
    CHECK (state NOT IN ('done', 'already_present') OR path IS NOT NULL),
    CHECK (state NOT IN ('unavailable', 'corrupt', 'failed') OR cause IS NOT NULL),
    CHECK (state NOT IN ('resolving', 'verifying') OR process IS NOT NULL),
    CHECK (planned = 0 OR (destination IS NOT NULL AND staging IS NOT NULL)),
    CHECK ((s3_path IS NULL) = (path_source IS NULL)),
    CHECK ((process IS NULL) = (fence IS NULL))
) STRICT;
INSERT INTO product VALUES(1,'S1A_EW_GRDM_1SDH_20240407T172427_20240407T172452_045407_0F521F_3CBB.SAFE','done','default',0,NULL,NULL,'/eodata/Sentinel-1/SAR/EW_GRDM_1S/2024/04/07/S1A_EW_GRDM_1SDH_20240407T172427_20240407T172452_045407_0F521F_3CBB.SAFE','name',0,NULL,68307,0,0,0,NULL,0,'/lab/spool','/lab/spool/.cdsed/S1A_EW_GRDM_1SDH_20240407T172427_20240407T172452_045407_0F521F_3CBB.SAFE','/lab/spool/S1A_EW_GRDM_1SDH_20240407T172427_20240407T172452_045407_0F521F_3CBB.SAFE',NULL,NULL,NULL,NULL,1795992283.825831,0,NULL,0.0,0);
INSERT INTO product VALUES(2,'S1A_IW_GRDH_1SDV_20221124T070639_20221124T070704_040530_02EA53_0A61.SAFE','done','default',0,NULL,NULL,'/eodata/Sentinel-1/SAR/GRD/2022/11/24/S1A_IW_GRDH_1SDV_20221124T070639_20221124T070704_040530_02EA53_0A61.SAFE','name',0,NULL,67329,0,0,0,NULL,0,'/lab/spool','/lab/spool/.cdsed/S1A_IW_GRDH_1SDV_20221124T070639_20221124T070704_040530_02EA53_0A61.SAFE','/lab/spool/S1A_IW_GRDH_1SDV_20221124T070639_20221124T070704_040530_02EA53_0A61.SAFE',NULL,NULL,NULL,NULL,1795992284.4210763,0,NULL,0.0,0);
INSERT INTO product VALUES(3,'S1A_IW_GRDH_1SDH_20240522T162106_20240522T162131_043619_0D8FAB_C615.SAFE','done','default',0,NULL,NULL,'/eodata/Sentinel-1/SAR/IW_GRDH_1S/2024/05/22/S1A_IW_GRDH_1SDH_20240522T162106_20240522T162131_043619_0D8FAB_C615.SAFE','name',0,NULL,68307,0,0,0,NULL,0,'/lab/spool','/lab/spool/.cdsed/S1A_IW_GRDH_1SDH_20240522T162106_20240522T162131_043619_0D8FAB_C615.SAFE','/lab/spool/S1A_IW_GRDH_1SDH_20240522T162106_20240522T162131_043619_0D8FAB_C615.SAFE',NULL,NULL,NULL,NULL,1795992284.1371305,0,NULL,0.0,0);
INSERT INTO product VALUES(4,'S1A_IW_GRDH_1SDH_20221109T110821_20221109T110846_056459_02A5CA_D9E1.SAFE','unavailable','default',0,NULL,NULL,NULL,NULL,1,NULL,NULL,0,0,0,NULL,0,NULL,NULL,NULL,'not in the catalogue','NotInCatalogue',NULL,NULL,1795992282.8668995,0,NULL,0.0,0);
INSERT INTO product VALUES(5,'S1A_IW_GRDH_1SSV_20240828T132301_20240828T132326_040619_0D7E85_5B1F.SAFE','corrupt','default',0,NULL,NULL,'/eodata/Sentinel-1/SAR/IW_GRDH_1S/2024/08/28/S1A_IW_GRDH_1SSV_20240828T132301_20240828T132326_040619_0D7E85_5B1F.SAFE','name',0,NULL,65810,1,0,0,NULL,0,'/lab/spool','/lab/spool/.cdsed/S1A_IW_GRDH_1SSV_20240828T132301_20240828T132326_040619_0D7E85_5B1F.SAFE','/lab/spool/.cdsed/quarantine/S1A_IW_GRDH_1SSV_20240828T132301_20240828T132326_040619_0D7E85_5B1F.SAFE','corrupt at its source, two copies were alike: annotation/calibration/calibration-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 5ec6ad4fc27f9306f5b01ed33ba04da9, the service states 7444e7d3b1b90dc9fe5859a714c6ed35; annotation/calibration/noise-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 b317175cb9a71b3084d483e755b2397e, the service states 17e066d1742b627031c522d6951ce8f8; annotation/rfi/rfi-s1a-iw-grd-vv-20240828t132301-20240828t132326-040619-0d7e85-001.xml: MD5 2d54a08b41dc6a2ee0822d9c9927db91, the service states 4e736912663755533965d891596de623','Corrupt',NULL,NULL,1795992302.3151877,0,NULL,0.0,0);
INSERT INTO product VALUES(6,'S1A_EW_GRDM_1SDH_20240603T104925_20240603T104950_055077_040692_BA94.SAFE','downloading','default',0,NULL,NULL,'/eodata/Sentinel-1/SAR/EW_GRDM_1S/2024/06/03/S1A_EW_GRDM_1SDH_20240603T104925_20240603T104950_055077_040692_BA94.SAFE','name',0,NULL,NULL,0,1,0,NULL,0,NULL,NULL,NULL,NULL,NULL,1,66,1795992367.9694397,0,NULL,0.0,0);
INSERT INTO product VALUES(7,'S1A_EW_GRDM_1SDH_20220204T074947_20220204T075012_053869_0CF455_A500.SAFE','ready','default',0,NULL,NULL,'/eodata/Sentinel-1/SAR/GRD/2022/02/04/S1A_EW_GRDM_1SDH_20220204T074947_20220204T075012_053869_0CF455_A500.SAFE','name',0,NULL,NULL,0,1,0,NULL,0,NULL,NULL,NULL,'127.0.0.1:33583: only 0 bytes in 61 s; connection cut','TooSlow',NULL,NULL,1795992368.6200476,0,NULL,0.0,0);
INSERT INTO product VALUES(8,'S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE','downloading','default',0,NULL,NULL,'/eodata/Sentinel-1/SAR/IW_GRDH_1S/2024/06/11/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE','name',0,NULL,30008339,0,0,0,NULL,1,'/lab/spool','/lab/spool/.cdsed/S1A_IW_GRDH_1SDH_20240611T164725_20240611T164750_054030_04E6B2_271F.SAFE',NULL,NULL,NULL,NULL,NULL,1795992304.6229591,0,NULL,0.0,0);
INSERT INTO product VALUES(9,'S1A_IW_GRDH_1SSV_20211004T185911_20211004T185936_044141_0373E6_A5B0.SAFE','done','default',0,NULL,NULL,'/eodata/Sentinel-1/SAR/GRD/2021/10/04/S1A_IW_GRDH_1SSV_20211004T185911_20211004T185936_044141_0373E6_A5B0.SAFE','name',0,NULL,30005337,0,0,0,NULL,0,'/lab/spool','/lab/spool/.cdsed/S1A_IW_GRDH_1SSV_20211004T185911_20211004T185936_044141_0373E6_A5B0.SAFE','/lab/spool/S1A_IW_GRDH_1SSV_20211004T185911_20211004T185936_044141_0373E6_A5B0.SAFE',NULL,NULL,NULL,NULL,1795992367.4830477,0,NULL,0.0,0);
INSERT INTO product VALUES(10,'S1A_IW_GRDH_1SSV_20230609T032633_20230609T032658_044023_0B27EB_DE9A.SAFE','ready','default',0,NULL,NULL,'/eodata/Sentinel-1/SAR/IW_GRDH_1S/2023/06/09/S1A_IW_GRDH_1SSV_20230609T032633_20230609T032658_044023_0B27EB_DE9A.SAFE','name',0,NULL,NULL,0,0,0,NULL,0,NULL,NULL,NULL,'account sandbox-1 may not read /eodata/Sentinel-1/SAR/IW_GRDH_1S/2023/06/09/S1A_IW_GRDH_1SSV_20230609T032633_20230609T032658_044023_0B27EB_DE9A.SAFE (403 AccessDenied)','Refused',NULL,NULL,1795992368.6200476,1,1795992367.9243429,0.1651934666762185,0);
INSERT INTO product VALUES(11,'S1A_IW_GRDH_1SSV_20220310T195132_20220310T195157_041865_02CD80_5D01.SAFE','ready','default',0,NULL,NULL,'/eodata/Sentinel-1/SAR/GRD/2022/03/10/S1A_IW_GRDH_1SSV_20220310T195132_20220310T195157_041865_02CD80_5D01.SAFE','name',0,NULL,NULL,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795992304.3879132,0,NULL,0.0,0);
INSERT INTO product VALUES(12,'S1A_IW_GRDH_1SDV_20240605T061100_20240605T061131_054200_069123_ABCD.SAFE','ready','default',0,NULL,NULL,'/eodata/Sentinel-1/SAR/IW_GRDH_1S/2024/06/05/S1A_IW_GRDH_1SDV_20240605T061100_20240605T061131_054200_069123_ABCD.SAFE','name',0,NULL,NULL,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795992304.3880024,0,NULL,0.0,0);
INSERT INTO product VALUES(13,'S1A_IW_GRDH_1SDV_20240801T061100_20240801T061131_055001_06B001_AB01.SAFE','queued','default',0,NULL,NULL,NULL,NULL,0,NULL,NULL,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795992370.0,0,NULL,0.0,0);
INSERT INTO product VALUES(14,'S1A_IW_GRDH_1SDV_20240802T061100_20240802T061131_055002_06B002_AB02.SAFE','resolving','default',0,NULL,NULL,NULL,NULL,0,NULL,NULL,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,3,70,1795992370.0,0,NULL,0.0,0);
INSERT INTO product VALUES(15,'S1A_IW_GRDH_1SDV_20240803T061100_20240803T061131_055003_06B003_AB03.SAFE','downloading','default',0,NULL,NULL,'/eodata/Sentinel-1/SAR/x','catalogue',0,NULL,NULL,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,1,71,1795992370.0,0,NULL,0.0,0);
INSERT INTO product VALUES(16,'S1A_IW_GRDH_1SDV_20240804T061100_20240804T061131_055004_06B004_AB04.SAFE','verifying','default',0,NULL,NULL,'/eodata/Sentinel-1/SAR/x','catalogue',0,NULL,NULL,0,0,0,NULL,1,'/lab/spool','/lab/spool/.cdsed',NULL,NULL,NULL,1,72,1795992370.0,0,NULL,0.0,0);
INSERT INTO product VALUES(17,'S1A_IW_GRDH_1SDV_20240805T061100_20240805T061131_055005_06B005_AB05.SAFE','retry_wait','default',0,NULL,NULL,'/eodata/Sentinel-1/SAR/x','catalogue',0,NULL,NULL,1,0,0,500.5,0,NULL,NULL,NULL,'internal error','InternalError',NULL,NULL,1795992370.0,0,NULL,0.0,0);
INSERT INTO product VALUES(18,'S1A_IW_GRDH_1SDV_20240806T061100_20240806T061131_055006_06B006_AB06.SAFE','failed','default',0,NULL,NULL,'/eodata/Sentinel-1/SAR/x','catalogue',0,NULL,NULL,5,0,0,NULL,0,NULL,NULL,NULL,'given up (attempt 5 of 5)','InternalError',NULL,NULL,1795992370.0,0,NULL,0.0,0);
INSERT INTO product VALUES(19,'S1A_IW_GRDH_1SDV_20240807T061100_20240807T061131_055007_06B007_AB07.SAFE','cancelled','default',0,NULL,NULL,'/eodata/Sentinel-1/SAR/x','catalogue',0,NULL,NULL,0,0,0,NULL,0,NULL,NULL,NULL,'cancelled',NULL,NULL,NULL,1795992370.0,0,NULL,0.0,0);
INSERT INTO product VALUES(20,'S1A_IW_GRDH_1SDV_20240808T061100_20240808T061131_055008_06B008_AB08.SAFE','already_present','default',0,NULL,NULL,NULL,NULL,0,NULL,NULL,0,0,0,NULL,0,NULL,NULL,'/lab/archive/S1A_IW_GRDH_1SDV_20240808T061100_20240808T061131_055008_06B008_AB08.SAFE',NULL,NULL,NULL,NULL,1795992370.0,0,NULL,0.0,0);
-- Triggers and indices on  product
CREATE INDEX product_by_place ON product (account_group, place, priority DESC, id) WHERE state = 'ready';
CREATE TRIGGER product_came AFTER INSERT ON product
BEGIN
    INSERT INTO event (product, at, origin, target, attempts, cause)
    VALUES (NEW.id, NEW.changed_at, NULL, NEW.state, 0, NEW.cause);
    INSERT INTO tally (listing, state, products, size_bytes) VALUES (0, NEW.state, 1, coalesce(NEW.size_bytes, 0))
    ON CONFLICT (listing, state) DO UPDATE
    SET products = products + 1, size_bytes = size_bytes + excluded.size_bytes;
END;
CREATE INDEX product_claimed ON product (process) WHERE process IS NOT NULL;
CREATE INDEX product_downloading ON product (account_group, priority DESC, id) WHERE state = 'downloading';
CREATE INDEX product_due ON product (due_s) WHERE due_s IS NOT NULL;
CREATE TRIGGER product_moved AFTER UPDATE OF state ON product
WHEN OLD.state <> NEW.state
BEGIN
    INSERT INTO event (product, at, origin, target, attempts, cause)
    VALUES (NEW.id, NEW.changed_at, OLD.state, NEW.state, NEW.attempts, NEW.cause);
    DELETE FROM event WHERE product = NEW.id
      AND id <= (SELECT id FROM event WHERE product = NEW.id ORDER BY id DESC LIMIT 1 OFFSET 32);
END;
CREATE TRIGGER product_moves_as_allowed BEFORE UPDATE OF state ON product
WHEN OLD.state <> NEW.state
BEGIN
    SELECT raise(ABORT, 'this transition is not allowed')
    WHERE NOT EXISTS (SELECT 1 FROM transition WHERE origin = OLD.state AND target = NEW.state);
END;
CREATE INDEX product_queued ON product (path_refuted, priority DESC, id) WHERE state = 'queued';
CREATE TRIGGER product_recounted AFTER UPDATE OF state, size_bytes ON product
WHEN OLD.state <> NEW.state OR OLD.size_bytes IS NOT NEW.size_bytes
BEGIN
    UPDATE tally SET products = products - 1, size_bytes = size_bytes - coalesce(OLD.size_bytes, 0)
    WHERE state = OLD.state
      AND listing IN (SELECT 0 UNION ALL SELECT listing FROM want WHERE product = NEW.id);
    INSERT INTO tally (listing, state, products, size_bytes)
    SELECT listing, NEW.state, 1, coalesce(NEW.size_bytes, 0)
    FROM (SELECT 0 AS listing UNION ALL SELECT listing FROM want WHERE product = NEW.id)
    WHERE true
    ON CONFLICT (listing, state) DO UPDATE
    SET products = products + 1, size_bytes = size_bytes + excluded.size_bytes;
END;
CREATE INDEX product_suspect ON product (id) WHERE deaths > 0;
CREATE INDEX product_with_error ON product (changed_at) WHERE code IS NOT NULL;

-- Table  remark
DROP TABLE IF EXISTS remark;
CREATE TABLE "remark" (                               -- what a receipt says about a line of a listing, and its products
    listing INTEGER NOT NULL REFERENCES listing (id),
    line INTEGER NOT NULL,
    part INTEGER NOT NULL DEFAULT 0 CHECK (part >= 0),  -- number of the remark among those about the line
    verdict TEXT NOT NULL CHECK (verdict IN ('accepted', 'duplicate', 'known', 'already_present', 'rejected')),
    safename TEXT,
    text TEXT NOT NULL,
    PRIMARY KEY (listing, line, part)
) STRICT, WITHOUT ROWID;
INSERT INTO remark VALUES(4,2,1,'already_present','S1A','/archive/x');

-- Table  s3_key
DROP TABLE IF EXISTS s3_key;
CREATE TABLE s3_key (
    account TEXT PRIMARY KEY,
    mark TEXT NOT NULL,                                 -- sixteen bits of a digest: tells one key from the next
    since_at REAL NOT NULL,                             -- first used
    worked_at REAL                                      -- last accepted by S3, to the minute; NULL: never
) STRICT, WITHOUT ROWID;
INSERT INTO s3_key VALUES('sandbox-1','2725',1795992281.0641832,1795992366.9788558);

-- Table  session
DROP TABLE IF EXISTS session;
CREATE TABLE session (                                  -- the right to one connection; held when process is set
    account TEXT NOT NULL REFERENCES account (name),
    slot INTEGER NOT NULL CHECK (slot > 0),
    enabled INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    process INTEGER REFERENCES process (id),
    fence INTEGER,
    rest_until_s REAL NOT NULL DEFAULT 0,
    since_at REAL, leased_s REAL, login TEXT NOT NULL DEFAULT '', requests INTEGER NOT NULL DEFAULT 0, waits_for TEXT CHECK (waits_for = 'requests'),
    PRIMARY KEY (account, slot),
    CHECK ((process IS NULL) = (fence IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO session VALUES('sandbox-1',1,1,NULL,NULL,76924.292667165,NULL,76862.919510128,'4887133de076a169',0,NULL);
INSERT INTO session VALUES('sandbox-1',2,1,1,63,76865.590201179,1795992366.5489004,76925.005421007,'4887133de076a169',1,NULL);
INSERT INTO session VALUES('sandbox-1',3,1,NULL,NULL,76924.298354559,NULL,76862.932670946,'4887133de076a169',0,NULL);
INSERT INTO session VALUES('sandbox-1',4,1,NULL,NULL,76863.716505652,NULL,76863.008471718,'4887133de076a169',0,NULL);
-- Triggers and indices on  session
CREATE INDEX session_by_process ON session (process) WHERE process IS NOT NULL;

-- Table  tally
DROP TABLE IF EXISTS tally;
CREATE TABLE tally (                                    -- products by listing and state; listing 0 is all of them
    listing INTEGER NOT NULL,
    state TEXT NOT NULL,
    products INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    PRIMARY KEY (listing, state)
) STRICT, WITHOUT ROWID;
INSERT INTO tally VALUES(0,'already_present',1,0);
INSERT INTO tally VALUES(0,'cancelled',1,0);
INSERT INTO tally VALUES(0,'corrupt',1,65810);
INSERT INTO tally VALUES(0,'done',4,30209280);
INSERT INTO tally VALUES(0,'downloading',3,30008339);
INSERT INTO tally VALUES(0,'failed',1,0);
INSERT INTO tally VALUES(0,'queued',1,0);
INSERT INTO tally VALUES(0,'ready',4,0);
INSERT INTO tally VALUES(0,'resolving',1,0);
INSERT INTO tally VALUES(0,'retry_wait',1,0);
INSERT INTO tally VALUES(0,'unavailable',1,0);
INSERT INTO tally VALUES(0,'verifying',1,0);
INSERT INTO tally VALUES(1,'corrupt',1,65810);
INSERT INTO tally VALUES(1,'done',3,203943);
INSERT INTO tally VALUES(1,'downloading',0,0);
INSERT INTO tally VALUES(1,'queued',0,0);
INSERT INTO tally VALUES(1,'ready',0,0);
INSERT INTO tally VALUES(1,'resolving',0,0);
INSERT INTO tally VALUES(1,'retry_wait',0,0);
INSERT INTO tally VALUES(1,'unavailable',1,0);
INSERT INTO tally VALUES(1,'verifying',0,0);
INSERT INTO tally VALUES(2,'done',2,135636);
INSERT INTO tally VALUES(3,'done',1,30005337);
INSERT INTO tally VALUES(3,'downloading',3,30008339);
INSERT INTO tally VALUES(3,'failed',1,0);
INSERT INTO tally VALUES(3,'queued',1,0);
INSERT INTO tally VALUES(3,'ready',4,0);
INSERT INTO tally VALUES(3,'resolving',1,0);
INSERT INTO tally VALUES(3,'retry_wait',1,0);
INSERT INTO tally VALUES(3,'verifying',1,0);
INSERT INTO tally VALUES(4,'already_present',1,0);
INSERT INTO tally VALUES(4,'cancelled',1,0);
INSERT INTO tally VALUES(4,'queued',0,0);
INSERT INTO tally VALUES(4,'ready',0,0);
INSERT INTO tally VALUES(4,'resolving',0,0);

-- Table  throttle
DROP TABLE IF EXISTS throttle;
CREATE TABLE "throttle" (                                -- accounts that may use fewer sessions than they have
    account TEXT PRIMARY KEY REFERENCES account (name),
    cause TEXT NOT NULL CHECK (cause IN ('throttled', 'shared', 'penalised')),
    sessions INTEGER NOT NULL CHECK (sessions > 0),
    fence INTEGER NOT NULL,                             -- leases up to this one were in flight at the last decrease
    since_s REAL NOT NULL,                              -- the last decrease
    grows_s REAL                                        -- NULL: nothing has been delivered since
) STRICT, WITHOUT ROWID;
INSERT INTO throttle VALUES('sandbox-1','shared',1,62,76923.97008991,76927.434186778);

-- Table  traffic_hour
DROP TABLE IF EXISTS traffic_hour;
CREATE TABLE traffic_hour (
    account TEXT NOT NULL,
    hour INTEGER NOT NULL,                              -- UTC hours since the epoch
    requests INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (account, hour)
) STRICT, WITHOUT ROWID;
INSERT INTO traffic_hour VALUES('sandbox-1',498886,235,30604140);

-- Table  traffic_step
DROP TABLE IF EXISTS traffic_step;
CREATE TABLE traffic_step (
    account TEXT NOT NULL,
    step INTEGER NOT NULL,                              -- of 5 s, since boot
    requests INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (account, step)
) STRICT, WITHOUT ROWID;
INSERT INTO traffic_step VALUES('sandbox-1',15368,101,269753);
INSERT INTO traffic_step VALUES('sandbox-1',15369,21,65810);
INSERT INTO traffic_step VALUES('sandbox-1',15370,42,131620);
INSERT INTO traffic_step VALUES('sandbox-1',15371,21,65810);
INSERT INTO traffic_step VALUES('sandbox-1',15372,23,65810);
INSERT INTO traffic_step VALUES('sandbox-1',15373,1,0);
INSERT INTO traffic_step VALUES('sandbox-1',15384,4,0);
INSERT INTO traffic_step VALUES('sandbox-1',15385,22,30005337);

-- Table  transition
DROP TABLE IF EXISTS transition;
CREATE TABLE transition (
    origin TEXT NOT NULL,
    target TEXT NOT NULL,
    PRIMARY KEY (origin, target)
) STRICT, WITHOUT ROWID;
INSERT INTO transition VALUES('already_present','queued');
INSERT INTO transition VALUES('cancelled','queued');
INSERT INTO transition VALUES('corrupt','queued');
INSERT INTO transition VALUES('done','queued');
INSERT INTO transition VALUES('downloading','already_present');
INSERT INTO transition VALUES('downloading','cancelled');
INSERT INTO transition VALUES('downloading','failed');
INSERT INTO transition VALUES('downloading','queued');
INSERT INTO transition VALUES('downloading','ready');
INSERT INTO transition VALUES('downloading','retry_wait');
INSERT INTO transition VALUES('downloading','unavailable');
INSERT INTO transition VALUES('downloading','verifying');
INSERT INTO transition VALUES('failed','queued');
INSERT INTO transition VALUES('queued','already_present');
INSERT INTO transition VALUES('queued','cancelled');
INSERT INTO transition VALUES('queued','resolving');
INSERT INTO transition VALUES('ready','cancelled');
INSERT INTO transition VALUES('ready','downloading');
INSERT INTO transition VALUES('ready','failed');
INSERT INTO transition VALUES('resolving','queued');
INSERT INTO transition VALUES('resolving','ready');
INSERT INTO transition VALUES('resolving','retry_wait');
INSERT INTO transition VALUES('resolving','unavailable');
INSERT INTO transition VALUES('retry_wait','cancelled');
INSERT INTO transition VALUES('retry_wait','queued');
INSERT INTO transition VALUES('retry_wait','ready');
INSERT INTO transition VALUES('unavailable','queued');
INSERT INTO transition VALUES('verifying','already_present');
INSERT INTO transition VALUES('verifying','corrupt');
INSERT INTO transition VALUES('verifying','done');
INSERT INTO transition VALUES('verifying','downloading');
INSERT INTO transition VALUES('verifying','failed');
INSERT INTO transition VALUES('verifying','retry_wait');

-- Table  want
DROP TABLE IF EXISTS want;
CREATE TABLE want (                                     -- which listing wants which product
    listing INTEGER NOT NULL REFERENCES listing (id),
    product INTEGER NOT NULL REFERENCES product (id),
    line INTEGER NOT NULL,
    PRIMARY KEY (listing, product)
) STRICT, WITHOUT ROWID;
INSERT INTO want VALUES(1,1,1);
INSERT INTO want VALUES(1,2,2);
INSERT INTO want VALUES(1,3,3);
INSERT INTO want VALUES(1,4,4);
INSERT INTO want VALUES(1,5,5);
INSERT INTO want VALUES(2,1,1);
INSERT INTO want VALUES(2,2,2);
INSERT INTO want VALUES(3,6,1);
INSERT INTO want VALUES(3,7,2);
INSERT INTO want VALUES(3,8,3);
INSERT INTO want VALUES(3,9,4);
INSERT INTO want VALUES(3,10,5);
INSERT INTO want VALUES(3,11,6);
INSERT INTO want VALUES(3,12,7);
INSERT INTO want VALUES(3,13,8);
INSERT INTO want VALUES(3,14,9);
INSERT INTO want VALUES(3,15,10);
INSERT INTO want VALUES(3,16,11);
INSERT INTO want VALUES(3,17,12);
INSERT INTO want VALUES(3,18,13);
INSERT INTO want VALUES(4,19,1);
INSERT INTO want VALUES(4,20,2);
-- Triggers and indices on  want
CREATE TRIGGER product_wanted AFTER INSERT ON want
BEGIN
    INSERT INTO tally (listing, state, products, size_bytes)
    SELECT NEW.listing, state, 1, coalesce(size_bytes, 0) FROM product WHERE id = NEW.product
    ON CONFLICT (listing, state) DO UPDATE
    SET products = products + 1, size_bytes = size_bytes + excluded.size_bytes;
END;
CREATE INDEX want_by_product ON want (product);

-- Views
DROP VIEW IF EXISTS ready_place;
CREATE VIEW ready_place (account_group, place) AS       -- the places at which products are ready
WITH RECURSIVE step (account_group, place) AS (         -- without looking at each product
    SELECT account_group, (SELECT min(place) FROM product
                           WHERE state = 'ready' AND product.account_group = named.account_group)
    FROM (SELECT DISTINCT account_group FROM account) AS named
    UNION ALL
    SELECT account_group, (SELECT min(place) FROM product
                           WHERE state = 'ready' AND product.account_group = step.account_group
                             AND product.place > step.place)
    FROM step WHERE place IS NOT NULL
)
SELECT account_group, place FROM step WHERE place IS NOT NULL;
DROP VIEW IF EXISTS peer;
CREATE VIEW peer (account, name, login, own, volume, requests) AS
SELECT account.name, other.name, other.login, other.name = account.name,
       other.name = account.name OR account.shares_volume, other.name = account.name OR account.shares_requests
FROM account JOIN account AS other ON other.name = account.name
    OR (other.account_group = account.account_group
        AND (account.shares_volume OR account.shares_requests OR account.pool_sessions IS NOT NULL));
DROP VIEW IF EXISTS counted;
CREATE VIEW counted (account, name, volume, requests) AS
SELECT peer.account, other.name, max(peer.volume), max(peer.requests)
FROM peer JOIN account AS other ON other.name = peer.name OR (other.login = peer.login AND peer.login <> '')
GROUP BY peer.account, other.name;

-- For primary key autoincrements the next id to use is stored in
-- sqlite_sequence
DELETE FROM main.sqlite_sequence WHERE name='listing';
INSERT INTO main.sqlite_sequence VALUES ('listing', 4);
DELETE FROM main.sqlite_sequence WHERE name='process';
INSERT INTO main.sqlite_sequence VALUES ('process', 3);
DELETE FROM main.sqlite_sequence WHERE name='product';
INSERT INTO main.sqlite_sequence VALUES ('product', 20);

-- Database header
pragma user_version=11;
pragma application_id=1128551237;

COMMIT TRANSACTION;
