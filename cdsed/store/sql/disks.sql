-- name: get
SELECT marker, device, inode FROM disk WHERE place = :place

-- name: remember
INSERT INTO disk (place, marker, device, inode, since_at) VALUES (:place, :marker, :device, :inode, :at)
ON CONFLICT (place) DO UPDATE SET marker = excluded.marker, device = excluded.device, inode = excluded.inode

-- name: places
SELECT place FROM disk ORDER BY place

-- Bytes that products under way will still write to the disk of a destination, which several destinations may share,
-- or to the one pre-spool (:everywhere). A product that is not yet planned counts with its whole size.
-- name: reserved_bytes
SELECT coalesce(sum(CASE WHEN planned = 1
                         THEN (SELECT coalesce(sum(piece.size_bytes - piece.done_bytes), 0) FROM piece
                               WHERE piece.product = product.id AND piece.done_bytes < piece.size_bytes)
                         ELSE coalesce(size_bytes, 0) END), 0)
FROM product WHERE state = 'downloading' AND id <> :id
  AND (:everywhere OR destination = :destination
       OR destination IN (SELECT place FROM disk
                          WHERE device = (SELECT device FROM disk WHERE place = :destination)))
